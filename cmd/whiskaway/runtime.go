package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/runtime"
	"github.com/whiskaway/whiskaway/wire"
)

type runtimeCommand struct {
	*options
	listen, pprof string
}

func newRuntime(o *options) *cobra.Command {
	c := runtimeCommand{options: o}
	cmd := &cobra.Command{
		Use:   "runtime",
		Short: "What OpenWhisk calls a runtime: one function behind /init and /run",
		Long: `What OpenWhisk calls a runtime: one function behind /init and /run.

A function whose main says @ runs elsewhere (client mode), any other runs here.

  WHISKAWAY_BALANCER     the balancer's URL, for targets that are labels: main@gpu
  WHISKAWAY_TOKEN        its client token, or WHISKAWAY_TOKEN_FILE, a file that holds it
  WHISKAWAY_TOKENS_FILE  lines "host token", for targets that are hosts: main@gpu.example.com
  WHISKAWAY_LEASE        how long a function stays that this runtime no longer asks for (60s)
  WHISKAWAY_KIND         the functions' kind: python:3, nodejs:20 or native

Of OpenServerless's variables, OW_ACTIVATE_PROXY_CLIENT=1 changes nothing (client
mode is on), and OW_ACTIVATE_PROXY_SERVER=1 makes this a server for clients that
show WHISKAWAY_TOKEN, as "whiskaway server --listen" does.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", ":8080", "where it listens")
	pprofFlag(f, &c.pprof)
	return cmd
}

func (c *runtimeCommand) run(ctx context.Context, out io.Writer) error {
	if isOn(os.Getenv("OW_ACTIVATE_PROXY_SERVER")) {
		s := serverCommand{options: c.options, listen: c.listen, pprof: c.pprof}
		return s.run(ctx, out)
	}
	log, err := c.runtimeLogger()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "whiskaway-runtime-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := watchLifeline(os.Getenv("WHISKAWAY_LIFELINE_FD"), dir); err != nil {
		return err
	}
	l, err := listen(ctx, c.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	hosts := &hosts{dir: dir, log: log, concurrent: isOn(os.Getenv("__OW_ALLOW_CONCURRENT"))}
	defer hosts.close()
	return c.serve(ctx, l, hosts, dir, log)
}

func (c *runtimeCommand) serve(ctx context.Context, l net.Listener, h *hosts, dir string, log *slog.Logger) error {
	lease, err := leaseFrom(os.Getenv("WHISKAWAY_LEASE"))
	if err != nil {
		return err
	}
	r := runtime.New(runtime.Config{
		Local: h.local, Remote: h.remote, Kind: os.Getenv("WHISKAWAY_KIND"), Dir: filepath.Join(dir, "code"),
		APIHost: os.Getenv("__OW_API_HOST"), LeaseTTL: lease, AllowConcurrent: h.concurrent, Stdout: os.Stdout, Stderr: os.Stderr, Log: log})
	defer closeWithin(leaseTimeout, log, "the function", r.Close)
	g, ctx := errgroup.WithContext(ctx)
	if err := servePprof(g, ctx, c.pprof); err != nil {
		return err
	}
	face := wire.Server{Handler: r.Handler(), Grace: runtimeGrace, Last: runtimeLast, Log: log}
	g.Go(func() error { return face.Serve(ctx, l) })
	if err := tellReady(os.Getenv("WHISKAWAY_READY_FD"), l.Addr().String()); err != nil {
		return err
	}
	return waitWithin(ctx, runtimeGrace+runtimeLast+time.Second, g.Wait)
}

// The lease's time to live is bounded as servers bound it.
const minLease, maxLease = time.Second, time.Hour

// leaseFrom reads WHISKAWAY_LEASE; 0 means the default.
func leaseFrom(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	ttl, err := time.ParseDuration(value)
	if err != nil || ttl < minLease || ttl > maxLease {
		return 0, fmt.Errorf("WHISKAWAY_LEASE=%q is not a time from %v to %v, such as 60s or 5m", value, minLease, maxLease)
	}
	return ttl, nil
}

// runtimeLogger logs only when the operator debugs: a container's stdout and
// stderr belong to the function's logs.
func (c *runtimeCommand) runtimeLogger() (*slog.Logger, error) {
	if !isOn(os.Getenv("OW_DEBUG")) {
		return slog.New(slog.DiscardHandler), nil
	}
	return c.logger()
}

// isOn reads a switch as the Go action proxy and OpenServerless do: set and not
// "0" or "false".
func isOn(value string) bool {
	on, err := strconv.ParseBool(value)
	return value != "" && (err != nil || on)
}

// watchLifeline ends this process when the file descriptor that number names
// reaches its end: whoever started us is gone, and nobody would stop us. dir is
// removed first.
func watchLifeline(number, dir string) error {
	if number == "" {
		return nil
	}
	f, err := inherited(number, "WHISKAWAY_LIFELINE_FD")
	if err != nil {
		return err
	}
	// This goroutine ends with the process: that is its whole purpose.
	go func() {
		io.Copy(io.Discard, f)
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	return nil
}

// tellReady writes the address to the file descriptor that number names.
func tellReady(number, address string) error {
	if number == "" {
		return nil
	}
	f, err := inherited(number, "WHISKAWAY_READY_FD")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, address); err != nil {
		return fmt.Errorf("telling that we are ready: %w", err)
	}
	return nil
}

func inherited(number, variable string) (*os.File, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is not the number of a file descriptor above 2", variable, number)
	}
	return os.NewFile(uintptr(fd), variable), nil
}
