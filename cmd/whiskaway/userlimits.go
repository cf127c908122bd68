package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/platform"
	"github.com/whiskaway/whiskaway/platform/store"
)

// asEverybody is what a limit is set to that is to be none of the namespace's own.
const asEverybody = "default"

// A limitFlag is one limit of a namespace.
type limitFlag struct {
	name, help string
	set        func(l *store.NamespaceLimits, value string) error
	show       func(l *store.NamespaceLimits) string // empty: as everybody
}

// limitFlags are in the order in which they are shown.
func limitFlags() []limitFlag {
	count := func(name, help string, of func(*store.NamespaceLimits) **int) limitFlag {
		return number(name, help+"; a number, or unlimited", of, parseCount, showCount)
	}
	return []limitFlag{
		count("invocations-per-minute", "invocations in a minute", func(l *store.NamespaceLimits) **int { return &l.InvocationsPerMinute }),
		count("concurrent-invocations", "invocations under way at a time", func(l *store.NamespaceLimits) **int { return &l.ConcurrentInvocations }),
		count("fires-per-minute", "firings of triggers in a minute", func(l *store.NamespaceLimits) **int { return &l.FiresPerMinute }),
		{
			"kinds", "the kinds that its actions may have, as python:3,nodejs:20; or all",
			func(l *store.NamespaceLimits, value string) error { l.AllowedKinds = parseKinds(value); return nil },
			func(l *store.NamespaceLimits) string { return strings.Join(l.AllowedKinds, ",") },
		},
		{"store-activations", "whether records of its activations are kept: true or false", setStoreActivations, showStoreActivations},
		number("max-memory", "the memory of an action at most, as 512m", func(l *store.NamespaceLimits) **int { return &l.MaxActionMemory }, parseMegabytes, showMegabytes),
		number("max-timeout", "the time limit of an action at most, as 10m", func(l *store.NamespaceLimits) **int { return &l.MaxActionTimeout }, parseMillis, showMillis),
		number("max-logs", "the logs of a run at most, as 10m", func(l *store.NamespaceLimits) **int { return &l.MaxActionLogs }, parseMegabytes, showMegabytes),
		number("max-concurrency", "runs at a time in one container at most", func(l *store.NamespaceLimits) **int { return &l.MaxActionConcurrency }, parsePositive, strconv.Itoa),
	}
}

// number is a limit that is a number.
func number(name, help string, of func(*store.NamespaceLimits) **int, parse func(string) (int, error), show func(int) string) limitFlag {
	return limitFlag{
		name: name, help: help,
		set: func(l *store.NamespaceLimits, value string) error {
			n, err := parse(value)
			*of(l) = &n
			return err
		},
		show: func(l *store.NamespaceLimits) string {
			if n := *of(l); n != nil {
				return show(*n)
			}
			return ""
		},
	}
}

const unlimitedWord = "unlimited"

func parseCount(value string) (int, error) {
	if value == unlimitedWord {
		return store.Unlimited, nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor %q", value, unlimitedWord)
	}
	return int(n), nil
}

func showCount(n int) string {
	if n == store.Unlimited {
		return unlimitedWord
	}
	return strconv.Itoa(n)
}

func parsePositive(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number from 1 on", value)
	}
	return int(n), nil
}

func parseMegabytes(value string) (int, error) {
	if value == "0" {
		return 0, nil
	}
	n, err := function.ParseBytes(value)
	if err != nil {
		return 0, err
	}
	if n%(1<<20) != 0 || n>>20 > 1<<30 {
		return 0, fmt.Errorf("%q is not a number of whole megabytes, such as 512m or 2g", value)
	}
	return int(n >> 20), nil
}

func showMegabytes(n int) string { return strconv.Itoa(n) + "m" }

func parseMillis(value string) (int, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Millisecond || d > maxTimeLimit || d%time.Millisecond != 0 {
		return 0, fmt.Errorf("%q is not a time from 1ms to %v, such as 90s, 10m or 2h", value, maxTimeLimit)
	}
	return int(d.Milliseconds()), nil
}

func showMillis(n int) string { return (time.Duration(n) * time.Millisecond).String() }

func parseKinds(value string) (kinds []string) {
	if value == "all" {
		return nil
	}
	for _, kind := range strings.Split(value, ",") {
		if kind = strings.TrimSpace(kind); kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func setStoreActivations(l *store.NamespaceLimits, value string) error {
	is, err := strconv.ParseBool(value)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", value)
	}
	l.StoreActivations = &is
	return nil
}

func showStoreActivations(l *store.NamespaceLimits) string {
	if l.StoreActivations == nil {
		return ""
	}
	return strconv.FormatBool(*l.StoreActivations)
}

func (c *userCommand) newLimits() *cobra.Command {
	flags := limitFlags()
	values := make([]string, len(flags))
	var reset, asJSON bool
	cmd := &cobra.Command{
		Use:   "limits NAMESPACE",
		Short: "Show the limits that a namespace has of its own, or set them",
		Long: "Show the limits that a namespace has of its own, or set those that are named. What it has none of its own of\n" +
			"is as for everybody; the value \"" + asEverybody + "\" brings one back to that, --reset all.\n" +
			"Nothing goes beyond what the flags of `whiskaway standalone` allow, such as its --max-memory.",
		Args: exactly(1, "which namespace: user limits NAMESPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				l, err := u.Limits(ctx, args[0])
				if err != nil {
					return err
				}
				if reset {
					l = store.NamespaceLimits{}
				}
				changed := reset
				for i, f := range flags {
					if !cmd.Flags().Changed(f.name) {
						continue
					}
					changed = true
					if err := f.change(&l, values[i]); err != nil {
						return fmt.Errorf("--%s: %w", f.name, err)
					}
				}
				if changed {
					if err := u.SetLimits(ctx, args[0], l); err != nil {
						return err
					}
				}
				return printLimits(cmd.OutOrStdout(), flags, l, asJSON)
			})
		},
	}
	f := cmd.Flags()
	for i, one := range flags {
		f.StringVar(&values[i], one.name, "", one.help)
	}
	f.BoolVar(&reset, "reset", false, "take all limits of its own away first")
	f.BoolVar(&asJSON, "json", false, "print JSON, with OpenWhisk's names")
	return cmd
}

// change sets the limit, or brings it back to everybody's.
func (f limitFlag) change(l *store.NamespaceLimits, value string) error {
	if value != asEverybody {
		if value == "" {
			return errors.New("say the limit")
		}
		return f.set(l, value)
	}
	*l = f.without(*l)
	return nil
}

// without returns the limits less this one.
func (f limitFlag) without(l store.NamespaceLimits) store.NamespaceLimits {
	var kept store.NamespaceLimits
	for _, other := range limitFlags() {
		if value := other.show(&l); value != "" && other.name != f.name {
			other.set(&kept, value) // what was shown can be read
		}
	}
	return kept
}

func printLimits(w io.Writer, flags []limitFlag, l store.NamespaceLimits, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(l)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LIMIT\tVALUE")
	for _, f := range flags {
		value := f.show(&l)
		if value == "" {
			value = asEverybody
		}
		fmt.Fprintf(t, "%s\t%s\n", f.name, value)
	}
	return t.Flush()
}
