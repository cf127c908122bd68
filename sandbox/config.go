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
	// Name is for people: what the command's cgroup is called after. May be empty.
	Name string
	// User is the uid and gid that the command runs with, where the walls have
	// users of their own; 0: ours.
	User int
	// Temp is a directory of ours that becomes the command's /tmp, where it can be
	// given one; it may write there in any case. Empty: it has none.
	Temp string
	// Readable and Writable are what the command sees of what is hidden from it
	// otherwise, and where it may write. Dir, Path and Temp need not be named.
	Readable, Writable []string
	Limits             Limits
	Log                *slog.Logger // nil: nothing is logged
}

// Limits bound a command with all its descendants. 0: no limit.
type Limits struct {
	Memory    int64 // bytes
	Processes int   // processes and threads
	FileSize  int64 // bytes of one file that it writes
	OpenFiles int   // file descriptors of each process
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
