package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// label is what the servers offer and the functions ask for.
const label = "bench"

// joinAll joins so many servers, in g until ctx ends, and returns when all have joined.
func joinAll(ctx context.Context, g *errgroup.Group, b *balancer, members int) error {
	token, err := b.token("join")
	if err != nil {
		return err
	}
	var joined sync.WaitGroup
	joined.Add(members)
	for i := range members {
		name := fmt.Sprintf("server-%03d", i)
		first := sync.OnceFunc(joined.Done)
		g.Go(func() error {
			return wire.DialHome(ctx, wire.HomeConfig{URL: b.url, Token: token, ServerID: name, Name: name, Host: newIdle(name), OnJoined: first})
		})
	}
	all := make(chan struct{})
	go func() { // ends with the process where some never join
		joined.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Minute):
		return errors.New("not all servers have joined within a minute")
	}
}

// leaseAll makes so many functions, and holds a lease on each.
func leaseAll(ctx context.Context, b *balancer, leases int) error {
	token, err := b.token("client")
	if err != nil {
		return err
	}
	c, err := wire.NewClient(wire.ClientConfig{URL: b.url, Token: token})
	if err != nil {
		return err
	}
	defer c.Close()
	code := []byte("def main(args):\n    return args\n")
	if err := c.PutCode(ctx, "guest", function.DigestOf(code), bytes.NewReader(code)); err != nil {
		return fmt.Errorf("bringing the code: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range leases {
		spec := function.Spec{
			Namespace: "guest", Action: fmt.Sprintf("bench-%04d", i), Kind: "python:3", Main: "main",
			Code: function.DigestOf(code), Require: function.Requirements{Labels: []string{label}},
		}
		g.Go(func() error {
			_, err := c.Init(ctx, spec, function.Lease{ID: function.NewLeaseID(), TTL: 10 * time.Minute})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("taking leases: %w", err)
	}
	return nil
}

// An idle is a server's Host that starts everything at once, and reports as a server does.
type idle struct {
	server  function.ServerStatus
	changed chan struct{} // has an entry when there is news

	mu        sync.Mutex
	functions []function.FunctionStatus
}

var _ function.Host = (*idle)(nil)

func newIdle(name string) *idle {
	return &idle{changed: make(chan struct{}, 1), server: function.ServerStatus{
		ID: name, Name: name, Version: "bench", OS: "linux", Arch: "amd64", Labels: []string{label}, CPUs: 16,
		Kinds:  []function.Kind{{Name: "python:3", Version: "3.11.7"}, {Name: "nodejs:20", Version: "20.0.0"}},
		Walls:  []string{"processes of their own"},
		Memory: function.Memory{Budget: 64 << 30},
	}}
}

// Init starts the function.
func (h *idle) Init(_ context.Context, spec function.Spec, _ function.Lease) (function.ID, error) {
	id := spec.ID()
	h.mu.Lock()
	h.functions = append(h.functions, function.FunctionStatus{
		ID: id, Server: h.server.ID, Namespace: spec.Namespace, Action: spec.Action, Kind: spec.Kind, Main: spec.Main,
		Labels: spec.Require.Labels, State: "ready", Workers: 1, Idle: 1, Leases: 1,
	})
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
	return id, nil
}

// Watch reports at once, on change, and as often as every host does.
func (h *idle) Watch(ctx context.Context, report func(function.Status) error) error {
	tick := time.NewTicker(function.StatusInterval)
	defer tick.Stop()
	for {
		h.mu.Lock()
		st := function.Status{Servers: []function.ServerStatus{h.server}, Functions: h.functions[:len(h.functions):len(h.functions)]}
		h.mu.Unlock()
		if err := report(st); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-h.changed:
		}
	}
}

// PutCode takes the code, and keeps none of it.
func (h *idle) PutCode(_ context.Context, _ string, _ function.Digest, code io.Reader) error {
	_, err := io.Copy(io.Discard, code)
	return err
}

// Run answers with nothing.
func (h *idle) Run(context.Context, function.ID, function.Claim, *function.Activation, function.Output) (function.Summary, error) {
	return function.Summary{Outcome: function.OutcomeOK}, nil
}

// Renew knows every lease.
func (h *idle) Renew(context.Context, function.ID, function.Claim, time.Duration) error { return nil }

// Stop forgets nothing: nobody asks it to while it is measured.
func (h *idle) Stop(context.Context, function.ID, function.Claim) error { return nil }
