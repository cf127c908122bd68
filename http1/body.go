package http1

import (
	"io"
	"time"
)

// A body is the body of the request at hand.
type body struct {
	c    *conn
	left int64 // not yet read by the handler
}

func (b *body) begin(size int64) { b.left = size }

// whole reports whether nothing of the body is still to come from the client.
func (b *body) whole() bool { return b.left <= int64(b.c.end-b.c.start) }

// Whole reports whether all of the body is here, so that no reading waits.
func (b *body) Whole() bool { return b.whole() }

// watchIfWhole sends the lookout out, which reads what follows the body.
func (b *body) watchIfWhole() {
	if !b.c.lookout.out && b.whole() {
		b.c.lookout.watch()
	}
}

// Read implements io.Reader. A client that leaves before the end is an
// io.ErrUnexpectedEOF.
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	c := b.c
	var n int
	var err error
	if c.end > c.start {
		n = copy(p, c.in[c.start:c.end])
		c.start += n
	} else {
		n, err = c.net.Read(p)
	}
	b.left -= int64(n)
	if b.left == 0 {
		b.watchIfWhole()
		return n, io.EOF
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer. The server reads on if the handler did not.
func (b *body) Close() error { return nil }

// restFor is how long the client may take for what the handler did not read of a body. Else it
// could hold its connection for ever.
const restFor = time.Second

// finish reads what the handler did not, and reports whether that was done.
func (b *body) finish() bool {
	if b.left == 0 {
		return true
	}
	if b.left > maxUnread {
		return false
	}
	b.c.response.SetReadDeadline(time.Now().Add(restFor))
	_, err := io.Copy(io.Discard, b)
	return err == nil && b.left == 0
}
