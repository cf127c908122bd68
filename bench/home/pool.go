package main

import (
	"context"
	"fmt"
	"net"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// An asker runs a function once, and returns an error unless its whole result came back.
type asker func(ctx context.Context, body []byte) error

// poolServer joins as every server does.
func poolServer(ctx context.Context, url, token string) error {
	return wire.DialHome(ctx, wire.HomeConfig{URL: url, Token: token, ServerID: "bench", Name: "bench", Host: echo{}})
}

// poolBalancer waits for the server to join, and returns how to ask it. serve returns
// when ctx ends.
func poolBalancer(ctx context.Context, ln net.Listener, keys *keys) (ask asker, serve func() error, err error) {
	joined := make(chan function.Host, 1)
	handler := wire.NewHandler(wire.HandlerConfig{Host: echo{}, Auth: keys.tokens, Join: func(ctx context.Context, j wire.Joining) error {
		joined <- j.Host
		<-ctx.Done()
		return nil
	}})
	server := wire.Server{Handler: handler, TLS: keys.tls}
	failed := make(chan error, 1)
	go func() { // serve waits for it
		failed <- server.Serve(ctx, ln)
		handler.Close()
	}()
	serve = func() error { return <-failed }
	select {
	case host := <-joined:
		return func(ctx context.Context, body []byte) error { return askHost(ctx, host, body) }, serve, nil
	case <-ctx.Done():
		return nil, serve, ctx.Err()
	}
}

func askHost(ctx context.Context, host function.Host, body []byte) error {
	got := 0
	sum, err := host.Run(ctx, function.ID{1}, function.Claim{Lease: lease},
		&function.Activation{Body: function.BytesBody(body), Timeout: patience},
		function.OutputFunc(func(s function.Stream, p []byte) error {
			if s == function.Result {
				got += len(p)
			}
			return nil
		}))
	if err != nil {
		return err
	}
	if sum.Outcome != function.OutcomeOK || got != len(body) {
		return fmt.Errorf("the run ended as %q (%s), with %d of %d bytes", sum.Outcome, sum.Error, got, len(body))
	}
	return nil
}
