package sandbox

import (
	"context"
	"log/slog"
)

// probe is the argument that makes ShimMain exit at once with code 0.
const probe = "probe"

// Detect tries the modes, strongest first, by starting the shim itself as the
// command, and returns the first that works: what Find finds at LevelProcess. It
// takes some milliseconds and should be called once. When ctx ends first it returns the zero Walls.
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

// probeUser is the uid that is tried: nobody's, as nearly everywhere.
const probeUser = 65534

func try(ctx context.Context, shim []string, w Walls) error {
	return Run(ctx, Config{Dir: "/", Shim: shim, Walls: w, User: probeUser, probe: true}, nil)
}
