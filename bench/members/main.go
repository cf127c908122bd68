package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// options are the flags.
type options struct {
	binary, listen  string
	members, leases int
	idle            time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "members:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (o options, err error) {
	f := flag.NewFlagSet("members", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "bin/whiskaway", "the whiskaway binary to measure")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "where the balancer listens: plain on loopback, TLS on another address of this machine")
	f.IntVar(&o.members, "members", 200, "servers that join")
	f.IntVar(&o.leases, "leases", 1000, "functions, each with a lease")
	f.DurationVar(&o.idle, "idle", 10*time.Second, "how long everything is idle before it is measured")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.members < 1 || o.leases < 0 || o.idle <= 0 || f.NArg() > 0 {
		return o, errors.New("-members and -idle must be above 0, and there are no arguments beside the flags")
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return o, fmt.Errorf("the binary: %w", err)
	}
	return o, nil
}

// run measures three times: alone, with the servers, and with the leases.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "whiskaway-bench-members-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b, err := startBalancer(ctx, o, dir)
	if err != nil {
		return err
	}
	defer b.stop()
	fmt.Println("                        RSS MB  heap MB  goroutines  connections  CPU ms/s")
	if err := b.print(ctx, "alone", o.idle); err != nil {
		return err
	}
	g, joining := errgroup.WithContext(ctx)
	joining, leave := context.WithCancel(joining)
	if err := joinAll(joining, g, b, o.members); err != nil {
		return errors.Join(err, end(g, leave))
	}
	err = b.print(ctx, fmt.Sprint(o.members, " servers"), o.idle)
	if err == nil {
		err = leaseAll(ctx, b, o.leases)
	}
	if err == nil {
		err = b.print(ctx, fmt.Sprint(o.leases, " leases more"), o.idle)
	}
	return errors.Join(err, end(g, leave))
}

// end lets the servers go, and waits for them.
func end(g *errgroup.Group, leave context.CancelFunc) error {
	leave()
	return g.Wait()
}
