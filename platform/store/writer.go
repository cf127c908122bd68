package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// gatherFor is how long the writer waits for company after the first record.
	gatherFor = 10 * time.Millisecond
	// maxPending bounds the bytes of records on their way to the disk.
	maxPending = 64 << 20
	// retryAfter is the wait after a failed transaction (a full disk, say).
	retryAfter = time.Second
	// lastWrite bounds how long Close waits for the database.
	lastWrite = 10 * time.Second
)

// An activationWriter writes the records that many runs hand over, many in one
// transaction. Its goroutine owns the writing; mu guards what is pending.
type activationWriter struct {
	db   *Database
	log  *slog.Logger
	wake chan struct{} // cap 1: there is something to do
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending map[string]*Activation // not yet committed
	queue   []*Activation          // of those, not yet in the running transaction
	bytes   int
	// Records are numbered as they come, and written in that order.
	taken   uint64            // the last one's number
	written uint64            // of the last one that is in the database
	lastOf  map[string]uint64 // of each namespace that has one pending
	flushes bool              // somebody waits: do not gather
	commits chan struct{}     // closed and renewed after each transaction
	lastErr error             // of the last transaction
}

func startWriter(db *Database, log *slog.Logger) *activationWriter {
	w := &activationWriter{
		db: db, log: log,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		pending: map[string]*Activation{}, lastOf: map[string]uint64{}, commits: make(chan struct{}),
	}
	go w.run()
	return w
}

func (w *activationWriter) put(ctx context.Context, a *Activation) error {
	for {
		w.mu.Lock()
		if w.bytes == 0 || w.bytes+a.size() <= maxPending {
			w.add(a)
			w.mu.Unlock()
			w.signal()
			return nil
		}
		commits, lastErr := w.commits, w.lastErr
		w.mu.Unlock()
		if lastErr != nil { // nobody knows when there will be room
			return fmt.Errorf("keeping an activation: too many wait for the disk: %w", lastErr)
		}
		select {
		case <-commits:
		case <-w.done:
			return errors.New("keeping an activation: the store is closed")
		case <-ctx.Done():
			return fmt.Errorf("keeping an activation: too many wait for the disk: %w", ctx.Err())
		}
	}
}

// add takes a record; the caller has locked mu.
func (w *activationWriter) add(a *Activation) {
	w.taken++
	w.lastOf[a.Namespace] = w.taken
	w.bytes += a.size()
	w.pending[a.ID] = a
	w.queue = append(w.queue, a)
}

func (a *Activation) size() int { return len(a.Head) + len(a.Response) + len(a.Logs) }

func (w *activationWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *activationWriter) pendingByID(id string) *Activation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending[id]
}

// flush waits until all that a namespace has pending now can be found in the
// database.
func (w *activationWriter) flush(ctx context.Context, namespace string) error {
	w.mu.Lock()
	last := w.lastOf[namespace]
	w.mu.Unlock()
	for {
		w.mu.Lock()
		pending := w.written < last
		commits, lastErr := w.commits, w.lastErr
		w.flushes = w.flushes || pending
		w.mu.Unlock()
		if !pending {
			return nil
		}
		if lastErr != nil {
			return fmt.Errorf("activations cannot be written just now: %w", lastErr)
		}
		w.signal()
		select {
		case <-commits:
		case <-w.done:
			return errors.New("the store is closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *activationWriter) run() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			ctx, cancel := context.WithTimeout(context.Background(), lastWrite)
			defer cancel()
			w.commitPending(ctx)
			return
		case <-w.wake:
		}
		w.gather()
		if err := w.commitPending(context.Background()); err != nil {
			w.log.Error("activation records cannot be written, will try again", "error", err)
			w.rest()
			w.signal()
		}
	}
}

// gather gives others a moment to join the transaction, unless somebody waits.
func (w *activationWriter) gather() {
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	for {
		w.mu.Lock()
		hurry := w.flushes
		w.mu.Unlock()
		if hurry {
			return
		}
		select {
		case <-timer.C:
			return
		case <-w.stop:
			return
		case <-w.wake: // more, or somebody who waits
		}
	}
}

func (w *activationWriter) rest() {
	select {
	case <-time.After(retryAfter):
	case <-w.stop:
	}
}

func (w *activationWriter) commitPending(ctx context.Context) error {
	w.mu.Lock()
	batch := w.queue
	w.queue = nil
	w.flushes = false
	w.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := w.commit(ctx, lastOfEach(batch))

	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastErr = err
	if err != nil {
		w.queue = append(batch, w.queue...)
	} else {
		w.forget(batch)
	}
	close(w.commits)
	w.commits = make(chan struct{})
	return err
}

// forget lets go of records that are written; the caller has locked mu.
func (w *activationWriter) forget(batch []*Activation) {
	w.written += uint64(len(batch))
	for _, a := range batch {
		w.bytes -= a.size()
		if w.pending[a.ID] == a { // not a later one
			delete(w.pending, a.ID)
		}
		if w.lastOf[a.Namespace] <= w.written {
			delete(w.lastOf, a.Namespace)
		}
	}
}

// commit writes a batch in one transaction. A record that the database can never
// take keeps no other one waiting.
func (w *activationWriter) commit(ctx context.Context, batch []*Activation) error {
	err := w.insert(ctx, batch)
	if err == nil || !w.db.dialect.refuses(err) {
		return err
	}
	if len(batch) == 1 {
		w.log.Error("the database refuses an activation record, which is lost", "id", batch[0].ID, "error", err)
		return nil
	}
	half := len(batch) / 2
	if err := w.commit(ctx, batch[:half]); err != nil {
		return err
	}
	return w.commit(ctx, batch[half:])
}

// insert writes records, and takes out of the journal what is over with them.
func (w *activationWriter) insert(ctx context.Context, batch []*Activation) error {
	err := w.db.inTx(ctx, func(tx queryer) error {
		if err := insertActivations(ctx, tx, batch); err != nil {
			return err
		}
		return w.db.journal.settle(ctx, tx, batch)
	})
	if err == nil {
		w.db.journal.settled(batch)
	}
	return err
}

// lastOfEach leaves out records that a later one of the same id replaces.
func lastOfEach(batch []*Activation) []*Activation {
	last := make(map[string]*Activation, len(batch))
	for _, a := range batch {
		last[a.ID] = a
	}
	if len(last) == len(batch) {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), func(a *Activation) bool { return last[a.ID] != a })
}

// close writes what is left. The error says that something could not be written.
func (w *activationWriter) close() error {
	close(w.stop)
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		return fmt.Errorf("%d activation records could not be written: %w", len(w.pending), w.lastErr)
	}
	return nil
}
