package controller

import (
	"context"
	"sync"
)

const (
	// maxCompositions bounds the compositions that run at a time.
	maxCompositions = 10_000
	// maxCaused bounds how many activations one invocation may cause: conductors and sequences
	// that invoke each other come to no end otherwise, since each begins to count anew.
	maxCaused = 10_000
)

// compositions are the sequences and conductors' compositions that run just now: a
// goroutine for each that nobody but us has caused.
type compositions struct {
	max, maxCaused int

	mu      sync.Mutex
	running int
	closed  bool
	tasks   sync.WaitGroup
}

// start lets one run, unless there are too many, or the end has come.
func (l *compositions) start(run func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errStopping
	case l.running >= l.max:
		return errOverloaded
	}
	l.running++
	l.tasks.Go(func() {
		defer l.ended()
		run()
	})
	return nil
}

func (l *compositions) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
}

// close lets none begin any more and waits for those that run. What they wait for
// must have been ended before.
func (l *compositions) close(stop context.CancelFunc) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	stop()
	l.tasks.Wait()
}
