package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// claimAgain is the wait between two attempts.
	claimAgain = 200 * time.Millisecond
	// claimKey says, of all advisory locks, that this one is Whiskaway's claim.
	claimKey = 0x57686974
)

// errClaimed says that there is another platform.
var errClaimed = errors.New("another platform uses this database: stop that one, or give this one a database of its own")

// A claim is a platform's hold on a database: a session that has a lock there, and
// does nothing else.
type claim struct {
	cfg  *pgx.ConnConfig
	conn *pgx.Conn
}

// Claim makes this process the database's only platform, until the store is
// closed. It waits patience for another one to end: a server may not know yet that
// one was killed. A file in SQLite is claimed with the directory that it lies in, by whoever opens that;
// on a PostgreSQL server it is a lock, which goes with its session. A session that
// is lost is made anew; lost is called, once at most, if another platform was
// faster. Programs that do not claim the database may use it meanwhile.
func (s *Database) Claim(ctx context.Context, patience time.Duration, lost func(error)) error {
	d, ok := s.dialect.(postgresDialect)
	if !ok {
		return nil
	}
	c := &claim{cfg: d.config}
	deadline := time.Now().Add(patience)
	for {
		err := c.take(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errClaimed) || time.Now().After(deadline) {
			return fmt.Errorf("claiming the database: %w", d.explain(err))
		}
		if !wait(ctx, claimAgain) {
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
func (c *claim) take(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, c.cfg)
	if err != nil {
		return err
	}
	var ok bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))", claimKey).Scan(&ok); err != nil {
		conn.Close(ctx)
		return err
	}
	if !ok {
		conn.Close(ctx)
		return errClaimed
	}
	c.conn = conn
	return nil
}

// hold keeps the lock until ctx ends. The error is errClaimed.
func (c *claim) hold(ctx context.Context) error {
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
			if errors.Is(err, errClaimed) {
				return err
			}
			wait(ctx, claimAgain)
		}
	}
}

func (c *claim) close() {
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
