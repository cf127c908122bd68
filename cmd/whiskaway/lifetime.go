package main

import (
	"context"
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

// closeInTime ends a part, and logs what went wrong there.
func closeInTime(log *slog.Logger, what string, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := end(ctx); err != nil {
		log.Error("stopping "+what, "error", err)
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
