package server

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// watchPause is the shortest time between two reports to a watcher.
const watchPause = 100 * time.Millisecond

// A watcher is somebody who calls Watch.
type watcher struct {
	changed chan struct{} // has room for one; gets a value at the first change after a report
	told    bool          // the owner's: changed has got its value
}

// Watch implements function.Host.
func (s *Server) Watch(ctx context.Context, report func(function.Status) error) error {
	w := &watcher{changed: make(chan struct{}, 1)}
	defer s.owner.send((*unwatch)(w))
	pause, silence := time.NewTimer(0), time.NewTimer(function.StatusInterval)
	defer pause.Stop()
	defer silence.Stop()
	for {
		e := &statusCall{watcher: w, reply: make(chan status, 1)}
		st, err := ask(ctx, s.owner, e, e.reply)
		if err != nil {
			return err
		}
		if err := report(s.status(st)); err != nil {
			return err
		}
		pause.Reset(watchPause)
		silence.Reset(function.StatusInterval)
		if err := s.owner.awaitChange(ctx, w, pause.C, silence.C); err != nil {
			return err
		}
	}
}

// awaitChange returns when the pause is over and something has changed, or after a long silence.
func (o *owner) awaitChange(ctx context.Context, w *watcher, pause, silence <-chan time.Time) error {
	select {
	case <-pause:
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	case <-o.done:
		return errDraining()
	}
	select {
	case <-w.changed:
	case <-silence:
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	case <-o.done:
		return errDraining()
	}
	return nil
}

// tellWatchers wakes those who wait for a change.
func (o *owner) tellWatchers() {
	for w := range o.watchers {
		if !w.told {
			w.told = true
			w.changed <- struct{}{}
		}
	}
}
