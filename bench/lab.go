package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// A setup is one thing to measure: some processes, and a way to ask them.
type setup struct {
	name  string
	roots []*process // that this setup started, in order
	// open returns a connection for one caller.
	open func() (caller, error)
	// results holds one row for each number of connections.
	results map[int][]measurement
}

// A caller asks one question at a time.
type caller interface {
	// call asks with this id, and checks that the answer has the same.
	call(id int64) error
	close() error
}

// A lab holds all setups, and everything they need.
type lab struct {
	options
	dir    string
	setups []*setup
	seen   map[int]uint64 // every process of the setups that was ever seen: pid and start time
}

func newLab(o options) (*lab, error) {
	dir, err := os.MkdirTemp("", "whiskaway-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	return &lab{options: o, dir: dir, seen: map[int]uint64{}}, nil
}

// measure starts everything, repeats the measurements, and prints the table.
func (l *lab) measure(ctx context.Context) error {
	if _, err := processes(); err != nil {
		return err
	}
	if err := l.start(ctx); err != nil {
		return err
	}
	for repeat := range l.repeats {
		for _, n := range l.connections {
			progress("repeat %d of %d, %d connections", repeat+1, l.repeats, n)
			if err := l.measureAll(ctx, n); err != nil {
				return err
			}
		}
	}
	progress("")
	l.print(os.Stdout)
	if err := l.printMemory(os.Stdout); err != nil {
		return err
	}
	if l.profile != "" {
		return l.takeProfiles(ctx)
	}
	return nil
}

// start starts the setups that were asked for.
func (l *lab) start(ctx context.Context) error {
	for _, k := range setupKinds {
		if !l.wants(k.name) {
			continue
		}
		progress("starting: %s", k.name)
		if err := l.startSetup(ctx, k); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	if len(l.setups) == 0 {
		return fmt.Errorf("-only %q chooses nothing", l.only)
	}
	return nil
}

// startSetup starts one setup and warms it up. One that cannot be measured here is
// said and left out.
func (l *lab) startSetup(ctx context.Context, k setupKind) error {
	s := &setup{name: k.name, results: map[int][]measurement{}}
	l.setups = append(l.setups, s)
	err := k.start(ctx, l, s)
	if errors.Is(err, errCannot) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", k.name, err)
		l.setups = l.setups[:len(l.setups)-1]
		return stopAll(s)
	}
	if err != nil {
		return err
	}
	_, err = l.load(ctx, s, slices.Max(l.connections), time.Second, l.warmup)
	return err
}

// stopAll ends a setup's processes, the last one first.
func stopAll(s *setup) error {
	var errs []error
	for _, p := range slices.Backward(s.roots) {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

func (l *lab) wants(name string) bool {
	if l.only == "" {
		return true
	}
	for part := range strings.SplitSeq(l.only, ",") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func (l *lab) measureAll(ctx context.Context, connections int) error {
	for _, s := range l.setups {
		m, err := l.load(ctx, s, connections, l.warmup, l.window)
		if err != nil {
			return fmt.Errorf("%s, %d connections: %w", s.name, connections, err)
		}
		s.results[connections] = append(s.results[connections], m)
	}
	return nil
}

// close ends every process that was started, the last one first, and checks
// that none of them, nor of their descendants, is left.
func (l *lab) close() error {
	progress("stopping")
	var errs []error
	for _, s := range l.setups {
		errs = append(errs, l.remember(s))
	}
	for _, s := range slices.Backward(l.setups) {
		errs = append(errs, stopAll(s))
	}
	errs = append(errs, l.checkGone(), os.RemoveAll(l.dir))
	progress("")
	return errors.Join(errs...)
}

// remember notes a setup's processes.
func (l *lab) remember(s *setup) error {
	all, err := processes()
	if err != nil {
		return err
	}
	for _, p := range all.tree(s.roots) {
		l.seen[p.pid] = p.started
	}
	return nil
}

// checkGone returns an error when a process of ours is still there after 5 s.
func (l *lab) checkGone() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		left, err := l.left()
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("these processes were left behind: %s", strings.Join(left, ", "))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *lab) left() ([]string, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var left []string
	for pid, started := range l.seen {
		if p, ok := all[pid]; ok && p.started == started && p.state != 'Z' {
			left = append(left, fmt.Sprintf("%d (%s)", pid, p.name))
		}
	}
	return left, nil
}

// progress shows what is going on, on one line of a terminal.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	} else if format != "" {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}
