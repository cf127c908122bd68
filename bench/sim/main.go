package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// options are the flags.
type options struct {
	seeds   int
	first   uint64
	size    float64
	only    string
	against string
	page    string
	workers int
	why     bool
}

const usage = `sim compares ways to place runs on servers, by simulation.

The same calls, servers, delays and faults meet each policy. Ours is the balancer's own code. For
each trace and policy it prints a line, and then where ours is worse than the best of the others.

  go run ./bench/sim                           all of it; a few minutes
  go run ./bench/sim -only gpu,faults -size 0.3    two traces, shorter; seconds
  go run ./bench/sim -page docs/simulation.md  writes the page and its plots as well: make sim

`

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = compare(o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, w io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		fmt.Fprint(w, usage)
		f.PrintDefaults()
	}
	f.IntVar(&o.seeds, "seeds", 3, "how many seeds each trace is made from; figures are the mean of them")
	f.Uint64Var(&o.first, "seed", 1, "the first seed")
	f.Float64Var(&o.size, "size", 1, "how long the traces are, for what they are in full")
	f.StringVar(&o.only, "only", "", "traces, separated by commas (default: all: "+strings.Join(traceNames(), ", ")+")")
	f.StringVar(&o.against, "policies", "", "policies, separated by commas (default: all: "+strings.Join(policyNames(), ", ")+")")
	f.StringVar(&o.page, "page", "", "write the page with the tables to this file, and its plots to the folder of that name")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "simulations at the same time")
	f.BoolVar(&o.why, "why", false, "tell what the time of the worst calls went into as well")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.seeds < 1 || o.size <= 0 || o.size > 10 || o.workers < 1 || f.NArg() > 0 {
		return o, errors.New("-seeds and -workers must be at least 1, -size above 0 and at most 10, and there are no arguments beside the flags")
	}
	return o, nil
}

func traceNames() (names []string) {
	for _, m := range makers {
		names = append(names, m.name)
	}
	return names
}

func policyNames() (names []string) {
	for _, c := range contenders() {
		names = append(names, c.name)
	}
	return names
}

// compare runs all that is asked for and prints it.
func compare(o options, out, progress io.Writer) error {
	s, err := newStudy(o)
	if err != nil {
		return err
	}
	s.run(o.workers, progress)
	s.print(out)
	if o.why {
		s.printWhy(out)
	}
	if o.page == "" {
		return nil
	}
	return s.writePage(o.page)
}
