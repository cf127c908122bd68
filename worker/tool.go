package worker

import (
	"context"
	"fmt"
	"io"

	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A ToolSandbox makes what the next tool runs in: everything but the command.
type ToolSandbox func() (sandbox.Config, error)

// Tool returns a kind.Tool that runs commands in a sandbox, so that a package
// manager does not outlive us either, and sees and writes only what it is given.
func Tool(in ToolSandbox) kind.Tool {
	return func(ctx context.Context, c kind.Command, out io.Writer) error {
		cfg, err := in()
		if err != nil {
			return fmt.Errorf("preparing a sandbox: %w", err)
		}
		cfg.Path, cfg.Args, cfg.Env, cfg.Dir = c.Path, c.Args, c.Env, c.Dir
		cfg.Readable, cfg.Writable = c.Readable, c.Writable
		if cfg.User == 0 && cfg.Walls.OwnUser() {
			cfg.User = builder
			for _, dir := range c.Writable {
				if err := giveAway(dir, builder); err != nil {
					return fmt.Errorf("preparing a build: %w", err)
				}
			}
		}
		return sandbox.Run(ctx, cfg, out)
	}
}
