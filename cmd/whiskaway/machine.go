package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/worker"
)

// A machine is what was found out about this one, once.
type machine struct {
	shim  []string
	walls sandbox.Walls
	kinds *kind.Set
	log   *slog.Logger
}

func findOut(ctx context.Context, log *slog.Logger) (*machine, error) {
	shim, err := self(shimCommand)
	if err != nil {
		return nil, fmt.Errorf("finding our own program: %w", err)
	}
	walls := sandbox.Detect(ctx, shim, log)
	kinds, err := kind.Discover(ctx, kind.Options{Tool: worker.Tool(shim, walls), Log: log})
	if err != nil {
		return nil, err
	}
	return &machine{shim: shim, walls: walls, kinds: kinds, log: log}, nil
}

// openServer opens this machine's workers as a Host. c says what is asked for;
// what was found out is added.
func (m *machine) openServer(ctx context.Context, c server.Config) (*server.Server, error) {
	for _, label := range c.Labels {
		if err := function.CheckLabel(label); err != nil {
			return nil, err
		}
	}
	name, err := os.Hostname()
	if c.Name == "" && err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w; give one with --name", err)
	}
	c.Name = cmp.Or(c.Name, name)
	c.Version, c.Kinds, c.Shim, c.Walls, c.Log = version, m.kinds, m.shim, m.walls, m.log
	return server.Open(ctx, c)
}

// gpus returns the GPUs; a machine without any, or whose driver does not
// answer, is served without.
func (m *machine) gpus(ctx context.Context) []function.GPU {
	found, err := gpu.Detect(ctx)
	if err != nil {
		m.log.Warn("looking for GPUs failed: going on without", "error", err)
	}
	return found
}
