package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// holdAgain is the wait between two attempts.
	holdAgain = 200 * time.Millisecond
	// holdKey says, of all advisory locks, that this one is Whiskaway's hold.
	holdKey = 0x57686974
)

// errHeld says that there is another platform.
var errHeld = errors.New("another platform uses this database: stop that one, or give this one a database of its own")

// A holder is a platform's hold on a database: a session that has a lock there, and
// does nothing else.
type holder struct {
	cfg  *pgx.ConnConfig
	conn *pgx.Conn
}

// Hold makes this process the database's only platform, until the store is
// closed. It waits patience for another one to end: a server may not know yet that
// one was killed. A file in SQLite is held with the directory that it lies in, by whoever opens that;
// on a PostgreSQL server it is a lock, which goes with its session. A session that
// is lost is made anew; lost is called, once at most, if another platform was
// faster. Programs that do not hold the database may use it meanwhile.
func (s *Database) Hold(ctx context.Context, patience time.Duration, lost func(error)) error {
	d, ok := s.dialect.(postgresDialect)
	if !ok {
		return nil
	}
	c := &holder{cfg: d.config}
	deadline := time.Now().Add(patience)
	for {
		err := c.take(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) || time.Now().After(deadline) {
			return fmt.Errorf("making the database ours alone: %w", d.explain(err))
		}
		if !wait(ctx, holdAgain) {
			return ctx.Err()
		}
	}
	holding, cancel := context.WithCancel(context.Background())
	s.stopHolding = cancel
	s.holding.Go(func() {
		if err := c.hold(holding); err != nil {
			lost(err)
		}
	})
	return nil
}

// take makes the session and takes the lock, or fails at once.
func (c *holder) take(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, c.cfg)
	if err != nil {
		return err
	}
	var ok bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))", holdKey).Scan(&ok); err != nil {
		conn.Close(ctx)
		return err
	}
	if !ok {
		conn.Close(ctx)
		return errHeld
	}
	c.conn = conn
	return nil
}

// hold keeps the lock until ctx ends. The error is errHeld.
func (c *holder) hold(ctx context.Context) error {
	for {
		for { // nobody notifies: it waits for the session's end
			if _, err := c.conn.WaitForNotification(ctx); err != nil {
				break
			}
		}
		c.close()
		for {
			if ctx.Err() != nil {
				return nil
			}
			err := c.take(ctx)
			if err == nil {
				break
			}
			if errors.Is(err, errHeld) {
				return err
			}
			wait(ctx, holdAgain)
		}
	}
}

func (c *holder) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.conn.Close(ctx)
}

// wait waits, and reports whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
