package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// onlyHTTP2 is HTTP/2 with no negotiation: TLS is below it, with the roles the other
// way round.
func onlyHTTP2() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// windows are wide enough that flow control of HTTP/2 itself holds nothing up.
func windows() *http.HTTP2Config {
	const most = 4<<20 - 1
	return &http.HTTP2Config{MaxConcurrentStreams: 1000, MaxReceiveBufferPerConnection: most, MaxReceiveBufferPerStream: most}
}

// http2Server dials the balancer, and serves HTTP/2 on what it dialled.
func http2Server(ctx context.Context, addr string, keys *keys) error {
	raw, err := (&net.Dialer{Control: retrySoon}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("dialling the balancer: %w", err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // both ends are this program
	handler := wire.NewHandler(wire.HandlerConfig{Host: echo{}, Auth: anyone{}})
	defer handler.Close()
	server := &http.Server{Handler: handler, Protocols: onlyHTTP2(), HTTP2: windows()}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	// Hidden from net/http, which would negotiate by it what was negotiated the other way.
	err = server.Serve(&one{conn: struct{ net.Conn }{conn}, done: ctx.Done()})
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

// A one is a listener with one connection.
type one struct {
	conn net.Conn
	done <-chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *one) Close() error { return nil }

func (l *one) Addr() net.Addr { return &net.UnixAddr{Name: "dialled home", Net: "home"} }

// http2Balancer waits for the server to dial, and returns how to ask it.
func http2Balancer(ctx context.Context, ln net.Listener, keys *keys) (ask asker, serve func() error, err error) {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	raw, err := ln.Accept()
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for the server: %w", err)
	}
	transport := &http.Transport{
		Protocols: onlyHTTP2(), HTTP2: windows(), DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return tls.Server(raw, keys.tls), nil },
	}
	conn, err := transport.NewClientConn(ctx, "http", "whiskaway.invalid:80")
	if err != nil {
		return nil, nil, fmt.Errorf("beginning HTTP/2: %w", err)
	}
	ask = func(ctx context.Context, body []byte) error { return askHTTP2(ctx, conn, body) }
	return ask, conn.Close, nil
}

func askHTTP2(ctx context.Context, conn *http.ClientConn, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://whiskaway.invalid/run", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"whiskaway"}, "Whiskaway-Version": {wire.Version},
		"Whiskaway-Function": {function.ID{1}.String()}, "Whiskaway-Lease": {lease},
		"Whiskaway-Timeout": {strconv.FormatInt(patience.Milliseconds(), 10)},
	}
	resp, err := conn.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	frames, got := function.NewFrameReader(resp.Body), 0
	for {
		stream, p, err := frames.Next()
		switch {
		case err != nil:
			return fmt.Errorf("reading frames: %w", err)
		case stream == function.Result:
			got += len(p)
		case stream == function.End && got != len(body):
			return fmt.Errorf("%d of %d bytes came: %s", got, len(body), p)
		case stream == function.End:
			return nil
		}
	}
}
