package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// shake makes sure that a TLS connection has its handshake before anything else, and in the time that
// headers may take: who sends half a handshake would otherwise be taken for idle. It reports whether
// the connection can go on. Who speaks plain HTTP gets PlainAnswer.
func (c *conn) shake() bool {
	secure, ok := c.net.(*tls.Conn)
	if !ok {
		return true
	}
	ctx := context.Background()
	if c.s.cfg.HeaderTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.s.cfg.HeaderTimeout)
		defer cancel()
	}
	err := secure.HandshakeContext(ctx)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && isHTTP(plain.RecordHeader) {
		answerPlain(plain.Conn, c.s.cfg.PlainAnswer)
	}
	return err == nil
}

// isHTTP reports whether what stands where a TLS record should begin is the beginning of a
// request: capital letters, and behind three or more of them perhaps a space.
func isHTTP(header [5]byte) bool {
	for i, b := range header {
		if b == ' ' {
			return i >= 3 // GET and PUT are the shortest
		}
		if b < 'A' || b > 'Z' {
			return false
		}
	}
	return true
}

// answerPlain answers a client that cannot be understood, and lets it read that.
func answerPlain(nc net.Conn, answer []byte) {
	half, ok := nc.(interface{ CloseWrite() error })
	if len(answer) == 0 || !ok {
		return
	}
	nc.SetDeadline(time.Now().Add(lingering))
	if _, err := nc.Write(answer); err != nil || half.CloseWrite() != nil {
		return
	}
	io.Copy(io.Discard, nc)
}
