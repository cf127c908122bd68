package worker

import (
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A Config says what to start, and within which limits.
type Config struct {
	Command kind.Command
	// Env is the complete environment of the function, on top of Command.Env.
	Env []string
	// What follows, up to Ended, is for the sandbox: see sandbox.Config. The
	// command's own Readable and Writable are added.
	Shim               []string
	Walls              sandbox.Walls // what sandbox.Detect found
	Name               string
	User, Group        int
	Temp               string
	Readable, Writable []string
	Limits             sandbox.Limits
	Started            func(pid int) error
	Ended              func() (cause string)
	// Concurrency is how many runs the process should take at once; 0 means 1.
	Concurrency  int
	StartTimeout time.Duration // 0: DefaultStartTimeout; the function's setup is included
	Grace        time.Duration // what a run has for ending that was asked to; 0: DefaultGrace
	LogLimit     int64         // bytes of logs for each run; 0: DefaultLogLimit
	ResultLimit  int64         // bytes of a result or of one item; 0: function.MaxFrame
	Log          *slog.Logger  // nil: nothing is logged
}

// The limits of a Config that names none.
const (
	DefaultStartTimeout = 60 * time.Second
	DefaultGrace        = 2 * time.Second
	DefaultLogLimit     = 10 << 20
)

func (c Config) withDefaults() Config {
	c.Concurrency = max(c.Concurrency, 1)
	if c.StartTimeout == 0 {
		c.StartTimeout = DefaultStartTimeout
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.LogLimit == 0 {
		c.LogLimit = DefaultLogLimit
	}
	if c.ResultLimit == 0 || c.ResultLimit > function.MaxFrame {
		c.ResultLimit = function.MaxFrame
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) sandbox() sandbox.Config {
	own := []string{"__OW_WAIT_FOR_ACK=1", "WHISKAWAY_CONCURRENCY=" + strconv.Itoa(c.Concurrency)}
	return sandbox.Config{
		Path:     c.Command.Path,
		Args:     c.Command.Args,
		Env:      slices.Concat(c.Command.Env, c.Env, own),
		Dir:      c.Command.Dir,
		Shim:     c.Shim,
		Walls:    c.Walls,
		Name:     c.Name,
		User:     c.User,
		Temp:     c.Temp,
		Readable: slices.Concat(c.Command.Readable, c.Readable),
		Writable: slices.Concat(c.Command.Writable, c.Writable),
		Limits:   c.Limits,
		Started:  c.Started,
		Ended:    c.Ended,
		Group:    c.Group,
		Log:      c.Log,
	}
}
