package worker

import (
	"context"
	"io"

	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
)

// Tool returns a kind.Tool that runs commands in a sandbox, so that a package
// manager does not outlive us either.
func Tool(shim []string, walls sandbox.Walls) kind.Tool {
	return func(ctx context.Context, c kind.Command, out io.Writer) error {
		return sandbox.Run(ctx, sandbox.Config{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Shim: shim, Walls: walls}, out)
	}
}
