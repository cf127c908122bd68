package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
)

// A Level is how much of a sandbox is asked for.
type Level string

// The levels, strongest first.
const (
	LevelFull    Level = "full"    // every wall that this machine can build
	LevelProcess Level = "process" // nothing outlives us, nothing more
	LevelOff     Level = "off"     // only what needs no privilege against survivors
)

// A Network is what commands may reach.
type Network string

// The networks.
const (
	NetworkHost   Network = "host"   // all that we reach
	NetworkPublic Network = "public" // what the caller's egress filter lets through
	NetworkNone   Network = "none"   // nothing
)

// Options are what Find is asked for.
type Options struct {
	Shim    []string // see Config
	Level   Level    // empty: LevelFull
	Network Network  // empty: NetworkHost
	// Public says that the caller installs an egress filter by cgroups around each
	// command; NetworkPublic cannot be had without.
	Public bool
	// Hidden are directories that no command may see, but for what its Config names:
	// the server's data directory. They must exist. Only LevelFull hides them.
	Hidden []string
	// Guard says that our memory holds what no command may see: at every level none may then look into
	// us, as far as this machine can keep it from that. It makes setuid programs ordinary ones.
	Guard bool
	// Secrets are files, and directories of such, that no command may read, at every level. They
	// imply Guard. A missing one is no error.
	Secrets []string
	// Users gives each command the uid of its Config, where that can be done: we
	// are root.
	Users bool
	Log   *slog.Logger // nil: nothing is logged
}

// withDefaults fills in what is empty, and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	if len(o.Shim) == 0 {
		return o, errors.New("finding the walls: no shim command is configured")
	}
	if o.Level == "" {
		o.Level = LevelFull
	}
	if o.Network == "" {
		o.Network = NetworkHost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch o.Level {
	case LevelFull, LevelProcess, LevelOff:
	default:
		return o, fmt.Errorf("finding the walls: the level %q is none of full, process and off", o.Level)
	}
	switch {
	case o.Network == NetworkHost, o.Network == NetworkNone:
	case o.Network != NetworkPublic:
		return o, fmt.Errorf("finding the walls: the network %q is none of host, public and none", o.Network)
	case !o.Public:
		return o, errors.New("the network public cannot be had here: it needs a cgroup v2 hierarchy that we may write, and the right to load BPF programs; use host or none")
	}
	hidden := make([]string, 0, len(o.Hidden))
	for _, dir := range o.Hidden {
		real, err := realPath(dir)
		if err != nil {
			return o, fmt.Errorf("a directory that is to be hidden: %w", err)
		}
		hidden = append(hidden, real)
	}
	o.Hidden = hidden
	o.Guard = o.Guard || len(o.Secrets) > 0
	o.Secrets = realPaths(o.Secrets)
	return o, nil
}

// realPaths are the real paths of those that are there.
func realPaths(paths []string) []string {
	var all []string
	for _, path := range paths {
		if real, err := realPath(path); err == nil {
			all = append(all, real)
		}
	}
	return all
}

// realPath is absolute and without symbolic links.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
