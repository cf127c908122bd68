package sandbox

import (
	"errors"
	"log/slog"
)

// A Config says what to start.
type Config struct {
	Path string   // the executable, absolute
	Args []string // without the zeroth
	Env  []string // complete: nothing is inherited; of two settings of one name the last holds
	Dir  string   // the working directory
	// Shim is the command line that ends in ShimMain, for example the path of
	// our own executable and "shim".
	Shim []string
	// Walls is what Detect found. The zero value stands for the mode that
	// needs no privilege.
	Walls Walls
	Log   *slog.Logger // nil: nothing is logged
}

func (c Config) check() error {
	switch {
	case len(c.Shim) == 0:
		return errors.New("starting a process: no shim command is configured")
	case c.Path == "":
		return errors.New("starting a process: no command is given")
	}
	return nil
}

func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// An order is what the shim has to do. It is sent through the lifeline as JSON,
// and the lifeline then stays open and silent.
type order struct {
	Mode Mode
	Path string
	Args []string // with the zeroth
	Env  []string
	Dir  string
}

func (c Config) order() order {
	return order{
		Mode: c.Walls.mode(),
		Path: c.Path,
		Args: append([]string{c.Path}, c.Args...),
		Env:  lastOfEach(c.Env),
		Dir:  c.Dir,
	}
}
