package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noArguments is for commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no argument, and %q is one; see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// wrongFlag says what to do about a flag that is not understood.
func wrongFlag(cmd *cobra.Command, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if like := flagLike(cmd.Flags(), name); like != "" {
			return fmt.Errorf("%w; is it --%s? See `%s --help`", err, like, cmd.CommandPath())
		}
	}
	return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
}

// flagLike returns the flag whose name is nearest to name, if that is near.
func flagLike(flags *pflag.FlagSet, name string) (like string) {
	best := len(name)/3 + 1
	flags.VisitAll(func(f *pflag.Flag) {
		if d := distance(f.Name, name); d < best && !f.Hidden {
			like, best = f.Name, d
		}
	})
	return like
}

// distance is how many letters must be put in, left out or changed (Levenshtein, 1965).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
