package invoker

import (
	"context"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// An ImageError is what a Driver says of an image of the user's, exec.image, that cannot be had.
// It is the action's fault, not the platform's.
type ImageError struct {
	Image string
	Err   error // why
}

func (e *ImageError) Error() string { return fmt.Sprintf("the image %s: %v", e.Image, e.Err) }

func (e *ImageError) Unwrap() error { return e.Err }

// An Exhaustible is a Container of which a Driver can tell whether it, or a process in
// it, was ended since it had used up its memory.
type Exhaustible interface {
	Exhausted(ctx context.Context) bool
}

// That word comes a little after the end itself: so long after a connection was cut, as the
// container's death is, and after an answer of its runtime, which outlived the function.
const (
	exhaustedAfterCut    = time.Second
	exhaustedAfterAnswer = 100 * time.Millisecond
)

// checkMemory gives a failed execution OpenWhisk's words if its container ran out of memory.
func (v *Invoker) checkMemory(ctx context.Context, c *container, e *execution) {
	word, ok := c.Container.(Exhaustible)
	if !ok || e.status != store.StatusDeveloperError || e.timeout {
		return
	}
	patience := exhaustedAfterAnswer
	if e.cut {
		patience = exhaustedAfterCut
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		if word.Exhausted(ctx) {
			e.verdict = failed(store.StatusDeveloperError, msgMemoryExhausted)
			return
		}
		select {
		case <-time.After(patience / 10):
		case <-ctx.Done():
		}
	}
}

// Where no guard line can be expected, a run's lines count as whole when nothing has been printed for
// so long: what a container prints is on its way for a moment. The first run of a container
// is also to tell whether it prints guard lines.
const (
	guardlessFirst   = 500 * time.Millisecond
	guardlessSilence = 50 * time.Millisecond
)

// collect returns a run's lines. An image of the user's need not print guard lines, as in
// OpenWhisk; one that once did is expected to go on.
func (v *Invoker) collect(ctx context.Context, c *container, of *runLog) (lines []string, whole bool) {
	guardless, runs := c.logs.isGuardless()
	silence := v.cfg.LogWait
	switch {
	case c.box.base.image == "" || !guardless:
	case runs == 0:
		silence = min(silence, guardlessFirst)
	default:
		silence = min(silence, guardlessSilence)
	}
	lines, whole = c.logs.end(ctx, of, silence)
	if c.box.base.image != "" && !whole {
		whole, _ = c.logs.isGuardless()
	}
	return lines, whole
}
