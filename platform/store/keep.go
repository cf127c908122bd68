package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// removeAtOnce is how many records one transaction removes: writers wait for it,
	// so it is over after some milliseconds.
	removeAtOnce = 200
	// The time between two looks for old records is the hundredth part of what they
	// are kept, within these bounds.
	shortestLook = time.Second
	longestLook  = 10 * time.Minute
)

// KeepActivations removes activation records that began longer than keep ago, now
// and from time to time until the store is closed. It is called once at most.
func (s *Database) KeepActivations(keep time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopRemoving = cancel
	s.removing.Go(func() { s.keepRemoving(ctx, keep) })
}

func (s *Database) keepRemoving(ctx context.Context, keep time.Duration) {
	tick := time.NewTicker(min(max(keep/100, shortestLook), longestLook))
	defer tick.Stop()
	for {
		if err := s.removeBefore(ctx, time.Now().Add(-keep)); err != nil && ctx.Err() == nil {
			s.log.Error("old activation records cannot be removed, will try again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// removeBefore removes the records of all namespaces that began before a time.
func (s *Database) removeBefore(ctx context.Context, before time.Time) error {
	for namespace := ""; ; {
		// The next one, by the index: there may be many records, and few namespaces.
		err := s.reader().row(ctx, "SELECT namespace FROM activations WHERE namespace > ? ORDER BY namespace LIMIT 1", namespace).Scan(&namespace)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for old activations: %w", err)
		}
		if err := s.removeOf(ctx, namespace, before); err != nil {
			return err
		}
	}
}

func (s *Database) removeOf(ctx context.Context, namespace string, before time.Time) error {
	for {
		began := time.Now()
		removed, err := s.removeSome(ctx, namespace, before)
		if err != nil {
			return fmt.Errorf("removing old activations: %w", err)
		}
		if removed < removeAtOnce {
			return nil
		}
		select { // others get half of the time
		case <-time.After(time.Since(began)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Database) removeSome(ctx context.Context, namespace string, before time.Time) (removed int64, err error) {
	err = s.inTx(ctx, func(tx queryer) error {
		res, err := tx.exec(ctx, "DELETE FROM activations WHERE seq IN (SELECT seq FROM activations WHERE namespace = ? AND start < ? ORDER BY start LIMIT ?)",
			namespace, before.UnixMilli(), removeAtOnce)
		if err != nil {
			return err
		}
		removed, err = res.RowsAffected()
		return err
	})
	return removed, err
}
