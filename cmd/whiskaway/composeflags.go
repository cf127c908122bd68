package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// composeFlags bound what sequences and conductors may invoke.
type composeFlags struct{ sequence int }

func (c *composeFlags) add(f *pflag.FlagSet) {
	f.IntVar(&c.sequence, "max-sequence", controller.DefaultLimits().Sequence, "actions in a sequence, and components that a conductor may invoke, at most")
}

// apply sets in l what the flags say.
func (c *composeFlags) apply(l *controller.Limits) error {
	if c.sequence < 1 {
		return fmt.Errorf("--max-sequence %d: it is a number from 1 on", c.sequence)
	}
	l.Sequence = c.sequence
	return nil
}
