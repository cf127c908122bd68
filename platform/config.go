package platform

import (
	"log/slog"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
)

// Config is what a platform needs. A zero field takes the default, where there is one.
type Config struct {
	Dir       string // where the state is kept; made if it is missing
	Store     StoreConfig
	Namespace string // "guest"
	// Driver makes the containers.
	Driver  invoker.Driver
	Invoker invoker.Config
	Limits  controller.Limits // controller.DefaultLimits()
	Kinds   []controller.Kind // controller.DefaultKinds()
	// Queue bounds the activations that were accepted and have not started:
	// 10,000 of them, 256 MB.
	Queue bus.Bounds
	// LastRuns is how long Close waits for runs that nobody waits for: 10 s.
	LastRuns time.Duration
	// Build is the date of the build, as GET /api/v1 tells it: "2026-…".
	Build string
	Log   *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = "guest"
	}
	if c.Limits == (controller.Limits{}) {
		c.Limits = controller.DefaultLimits()
	}
	if c.Kinds == nil {
		c.Kinds = controller.DefaultKinds()
	}
	if c.Queue == (bus.Bounds{}) {
		c.Queue = bus.Bounds{Messages: 10_000, Bytes: 256 << 20}
	}
	if c.LastRuns == 0 {
		c.LastRuns = 10 * time.Second
	}
	if c.Build == "" {
		c.Build = "2026"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
