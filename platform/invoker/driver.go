package invoker

import (
	"context"
	"io"
)

// A Driver starts containers: things with an address that serve /init and /run.
type Driver interface {
	// Start returns when the container can be reached. When ctx ends first,
	// nothing is left of it.
	Start(ctx context.Context, spec Spec) (Container, error)
}

// A Spec says what container is wanted.
type Spec struct {
	Name   string            // for people and for the driver's own lists; unique in this process
	Kind   string            // "python:3"; with Image it is "blackbox"
	Image  string            // the action's own, from exec.image; empty: the kind's
	Memory int               // megabytes that it may use; its share of the CPU follows from it
	Env    map[string]string // of the container itself, beside the driver's own

	// Whom it serves, for labels only: the invoking namespace, and
	// "/namespace/package/name". Empty: that is not known yet, it is started in advance.
	Namespace string
	Action    string
}

// HeaderKey is how a Keyed container's key is shown.
const HeaderKey = "Whiskaway-Key"

// A Keyed is a Container that answers nobody who does not show its key: a secret of its own.
type Keyed interface {
	Key() string // empty: it has none
}

// A Container is one running runtime.
type Container interface {
	// Addr returns "host:port", where it serves HTTP.
	Addr() string
	// Logs returns what it prints. Both must be read to their end, which comes
	// after the container's, and closed. Close also ends a Read that waits.
	Logs() (stdout, stderr io.ReadCloser)
	// Pause freezes the function in it, all of its processes, while nothing is asked of
	// it; Resume ends that. They are called in turns, never at the same time. A
	// driver may do nothing. A paused container can be killed; after an error it is.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Kill ends it and returns when it is gone, or when ctx ends.
	Kill(ctx context.Context) error
	// Done is closed when it ended, by itself or by Kill.
	Done() <-chan struct{}
}
