package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// closeTimeout bounds each part's end, so that a stop always ends.
const closeTimeout = 10 * time.Second

// requestGrace is how long requests under way may go on when we are to stop.
const requestGrace = 5 * time.Second

// A container has 30 s from Kubernetes between SIGTERM and SIGKILL. With a second
// for what hangs these add up to 25 s: the runs under way, their last answer when
// they were cancelled, the lease, and the workers of a function that runs here.
const (
	runtimeGrace  = 13 * time.Second
	runtimeLast   = 3 * time.Second
	leaseTimeout  = 4 * time.Second
	workerTimeout = 4 * time.Second
)

// closeInTime ends a part, and logs what went wrong there.
func closeInTime(log *slog.Logger, what string, end func(context.Context) error) {
	closeWithin(closeTimeout, log, what, end)
}

// closeUnless is closeInTime, unless somebody is in a hurry.
func closeUnless(hurry context.Context, log *slog.Logger, what string, end func(context.Context) error) {
	if hurry.Err() == nil {
		closeInTime(log, what, end)
	}
}

func closeWithin(limit time.Duration, log *slog.Logger, what string, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := end(ctx); err != nil {
		log.Error("stopping "+what, "error", err)
	}
}

// waitWithin waits as long as it takes until ctx ends, and for limit after that.
// What is not over then ends with the process.
func waitWithin(ctx context.Context, limit time.Duration, wait func() error) error {
	over := make(chan error, 1)
	go func() { over <- wait() }()
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-over:
		return err
	case <-timer.C:
		return errors.New("the requests under way did not end in time")
	}
}

// pprofFlag adds the flag for Go's profiler, which `make bench` uses.
func pprofFlag(f *pflag.FlagSet, addr *string) {
	f.StringVar(addr, "pprof", "", "serve Go's profiler at this loopback address")
	f.MarkHidden("pprof")
}

// servePprof serves the profiler in g when addr is not empty.
func servePprof(g *errgroup.Group, ctx context.Context, addr string) error {
	if addr == "" {
		return nil
	}
	if !function.IsLoopback(addr) {
		return fmt.Errorf("--pprof %s: the profiler knows no tokens, so it may listen on loopback only", addr)
	}
	l, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	g.Go(func() error { return (&wire.Server{Handler: mux}).Serve(ctx, l) })
	return nil
}
