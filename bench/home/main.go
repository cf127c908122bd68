package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// roleVariable makes this program one of the processes of a measurement.
const roleVariable = "WHISKAWAY_BENCH_HOME_ROLE"

// options are the flags.
type options struct {
	rtts       []float64 // milliseconds
	losses     []float64 // percent, each way
	ways       []string
	mixes      []string
	inFlight   int
	window     time.Duration
	warmup     time.Duration
	congestion string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "home:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	switch role := os.Getenv(roleVariable); role {
	case "balancer", "server":
		return runEnd(ctx, role, os.Args[1:])
	case "link":
		o, err := parseFlags(os.Args[1:])
		if err != nil {
			return err
		}
		return measure(ctx, o)
	}
	if _, err := parseFlags(os.Args[1:]); err != nil {
		return err
	}
	return runApart(ctx)
}

func parseFlags(args []string) (options, error) {
	var o options
	var rtts, losses, ways, mixes string
	f := flag.NewFlagSet("home", flag.ContinueOnError)
	f.StringVar(&rtts, "rtt", "0,20,80", "round trips, milliseconds")
	f.StringVar(&losses, "loss", "0,1,3", "packets lost each way, percent")
	f.StringVar(&ways, "ways", "pool,http2", "what to compare")
	f.StringVar(&mixes, "mixes", "small,mixed", "small: only small runs; mixed: 2 of the callers send and get 1 MB, 2 get a thousand lines of logs; slow: runs of 0.3 s")
	f.IntVar(&o.inFlight, "in-flight", 64, "runs at a time")
	f.DurationVar(&o.window, "window", 4*time.Second, "how long each measurement takes")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "load before it that does not count")
	f.StringVar(&o.congestion, "congestion", "reno", "TCP's congestion control; in a namespace the kernel allows reno and the machine's own, more with net.ipv4.tcp_allowed_congestion_control")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.ways, o.mixes = strings.Split(ways, ","), strings.Split(mixes, ",")
	if o.inFlight <= others || o.window <= 0 || o.warmup <= 0 || f.NArg() > 0 {
		return o, fmt.Errorf("-in-flight must be above %d, -window and -warmup above 0, and there are no arguments beside the flags", others)
	}
	return o, errors.Join(
		numbers(rtts, &o.rtts, 10_000), numbers(losses, &o.losses, 100),
		known("-ways", o.ways, "pool", "http2"), known("-mixes", o.mixes, "small", "mixed", "slow"))
}

func numbers(text string, into *[]float64, most float64) error {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || n < 0 || n > most {
			return fmt.Errorf("%q is not a number from 0 to %v", part, most)
		}
		*into = append(*into, n)
	}
	return nil
}

func known(name string, given []string, words ...string) error {
	for _, g := range given {
		if !strings.Contains(" "+strings.Join(words, " ")+" ", " "+g+" ") {
			return fmt.Errorf("%s: %q is not one of %s", name, g, strings.Join(words, ", "))
		}
	}
	return nil
}
