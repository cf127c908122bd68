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
	Env   []string
	Shim  []string      // see sandbox.Config
	Walls sandbox.Walls // what sandbox.Detect found
	// Concurrency is how many runs the process should take at once; 0 means 1.
	Concurrency  int
	StartTimeout time.Duration // 0: DefaultStartTimeout
	LogLimit     int64         // bytes of logs for each run; 0: DefaultLogLimit
	ResultLimit  int64         // bytes of a result or of one item; 0: function.MaxFrame
	Log          *slog.Logger  // nil: nothing is logged
}

// The limits of a Config that names none.
const (
	DefaultStartTimeout = 60 * time.Second
	DefaultLogLimit     = 10 << 20
)

func (c Config) withDefaults() Config {
	c.Concurrency = max(c.Concurrency, 1)
	if c.StartTimeout == 0 {
		c.StartTimeout = DefaultStartTimeout
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
		Path:  c.Command.Path,
		Args:  c.Command.Args,
		Env:   slices.Concat(c.Command.Env, c.Env, own),
		Dir:   c.Command.Dir,
		Shim:  c.Shim,
		Walls: c.Walls,
		Log:   c.Log,
	}
}
