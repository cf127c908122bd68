package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary      string
	repeats     int
	window      time.Duration // how long each measurement counts
	warmup      time.Duration // load before it that does not count
	connections []int
	only        string
	profile     string
}

func main() {
	if part := os.Getenv(partVariable); part != "" {
		exitOn(servePart(part))
		return
	}
	o, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	exitOn(err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitOn(run(ctx, o))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	var o options
	var seconds, warm float64
	var connections string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "bin/whiskaway", "the whiskaway binary to measure")
	f.IntVar(&o.repeats, "repeats", 5, "how often each measurement is done")
	f.Float64Var(&seconds, "seconds", 1.5, "how long each measurement takes")
	f.Float64Var(&warm, "warmup", 0.5, "seconds of load before each measurement that do not count")
	f.StringVar(&connections, "connections", "1,8,64", "numbers of connections, each with one question at a time")
	f.StringVar(&o.only, "only", "", "setups to measure, a part of each one's name, separated by commas (default: all)")
	f.StringVar(&o.profile, "profile", "", "write a CPU profile of each whiskaway process into this directory")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.window = time.Duration(seconds * float64(time.Second))
	o.warmup = time.Duration(warm * float64(time.Second))
	for text := range strings.SplitSeq(connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 4096 {
			return o, fmt.Errorf("-connections: %q is not a number from 1 to 4096", text)
		}
		o.connections = append(o.connections, n)
	}
	if o.repeats < 1 || o.window <= 0 || o.warmup < 0 || f.NArg() > 0 {
		return o, errors.New("-repeats and -seconds must be above 0, and there are no arguments beside the flags")
	}
	return o, findBinary(&o)
}

func findBinary(o *options) error {
	path, err := filepath.Abs(o.binary)
	if err != nil {
		return fmt.Errorf("the binary: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("the binary %s is not there; build it with: make build", o.binary)
	}
	o.binary = path
	return nil
}

func run(ctx context.Context, o options) error {
	l, err := newLab(o)
	if err != nil {
		return err
	}
	err = l.measure(ctx)
	return errors.Join(err, l.close())
}
