package main

import (
	"context"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// idleBeforeTrim is how long nothing may have been asked before memory is given back.
// OpenWhisk freezes a container that is idle for 10 seconds; this must be over by then.
const idleBeforeTrim = 2 * time.Second

// A trimmer is a handler that gives its process's memory back to the system when nothing
// has been asked for a while: most runtimes wait most of the time, and there are many
// on a machine. Under load it does nothing but count.
type trimmer struct {
	next http.Handler
	trim func()
	// requests has the number of those under way in its lower half, and counts all in its upper.
	requests atomic.Uint64
	begun    chan struct{} // has room for one: something was asked
}

func newTrimmer(next http.Handler) *trimmer {
	return &trimmer{next: next, trim: trim, begun: make(chan struct{}, 1)}
}

const oneMore = 1<<32 + 1 // request under way, and request in all

// ServeHTTP lets the next handler serve.
func (t *trimmer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.requests.Add(oneMore)
	defer t.requests.Add(^uint64(0)) // minus one
	select {
	case t.begun <- struct{}{}:
	default:
	}
	t.next.ServeHTTP(w, r)
}

// run trims whenever it is quiet, until ctx ends.
func (t *trimmer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.begun:
		}
		if !t.awaitQuiet(ctx) {
			return nil
		}
		t.trim()
	}
}

// awaitQuiet returns true when nothing was asked for idleBeforeTrim, and false when ctx ends.
func (t *trimmer) awaitQuiet(ctx context.Context) bool {
	tick := time.NewTicker(idleBeforeTrim)
	defer tick.Stop()
	for before := t.requests.Load(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		select {
		case <-t.begun: // of a request that is counted already
		default:
		}
		now := t.requests.Load()
		if now == before && uint32(now) == 0 {
			return true
		}
		before = now
	}
}

// trim gives back what is not used. What a sync.Pool keeps is free after two collections.
func trim() {
	runtime.GC()
	debug.FreeOSMemory()
}
