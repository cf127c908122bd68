package sandbox

import (
	"context"
	"log/slog"
	"slices"
)

// probe is the argument that makes ShimMain exit at once with code 0.
const probe = "probe"

// Detect tries the modes, strongest first, by starting the shim itself as the
// command, and returns the first that works. It takes some milliseconds and
// should be called once. When ctx ends first it returns the zero Walls.
func Detect(ctx context.Context, shim []string, log *slog.Logger) Walls {
	var refused string
	for _, w := range candidates() {
		err := try(ctx, shim, w)
		if err == nil {
			w.Refused = refused
			return w
		}
		refused = err.Error()
		if log != nil {
			log.Info("a wall cannot be used here", "mode", w.Mode, "user", w.User, "why", refused)
		}
	}
	return Walls{Refused: refused}
}

func try(ctx context.Context, shim []string, w Walls) error {
	if len(shim) == 0 {
		return Config{}.check()
	}
	return Run(ctx, Config{
		Path:  shim[0],
		Args:  slices.Concat(shim[1:], []string{probe}),
		Dir:   "/",
		Shim:  shim,
		Walls: w,
	}, nil)
}
