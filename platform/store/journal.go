package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An Accepted is an activation whose id somebody was given, with a promise: it will
// have a record, whatever becomes of this process. It is in the journal until the
// record is written.
type Accepted struct {
	ID     string
	Kind   AcceptedKind
	CodeID int64  // the code that it needs, which is kept for it; 0: none
	Sent   int64  // when it was sent to a container, in milliseconds since 1970; 0: it certainly was not
	Body   []byte // what Kind says
	Place  int64  // its place in the order of the acceptances; the store sets it
}

// An AcceptedKind says what an entry's body is, and so what a restart makes of it.
type AcceptedKind string

// The kinds of entries.
const (
	// AcceptedRun is a bus.Run, encoded. What was not sent is queued again.
	AcceptedRun AcceptedKind = "run"
	// AcceptedRecord is the record of an activation that cannot be taken up again,
	// as far as it is known: a Record with RecordBody.
	AcceptedRecord AcceptedKind = "record"
)

// A Journal keeps what was accepted and has no record yet. What its methods have
// written is there after any death of this process when they return. PutActivation
// removes an entry in the transaction that writes its record.
type Journal interface {
	// Accept adds an entry, unless it has its record already.
	Accept(ctx context.Context, a Accepted) error
	// Claim marks an entry as sent at that time. It returns true once: whoever gets
	// it may send the run, and nobody else ever.
	Claim(ctx context.Context, id string, at time.Time) (bool, error)
	// Forget removes an entry that was not to be accepted after all.
	Forget(ctx context.Context, id string) error
	// Left returns what earlier processes left, in the order of acceptance: up to limit
	// entries after that place. What was accepted since the store was opened is not among them.
	Left(ctx context.Context, after int64, limit int) ([]Accepted, error)
}

const (
	// journalBatch bounds how many changes share a transaction.
	journalBatch = 256
	// journalWait bounds a transaction. After it the callers are told.
	journalWait = 20 * time.Second
)

// A journal writes what many callers wait for, many in one transaction: while one is
// being written, the next gathers. Its goroutine owns the writing.
type journal struct {
	db    *sql.DB
	left  int64         // the last place that an earlier process used
	wake  chan struct{} // cap 1
	tasks sync.WaitGroup

	mu     sync.Mutex
	todo   []*journalChange
	open   map[string]bool // the ids of all entries, also of those being written
	closed bool
}

// A journalChange is one caller's wish.
type journalChange struct {
	do   func(ctx context.Context, tx *sql.Tx) error
	done chan error // cap 1
}

// startJournal begins with what an earlier process left.
func startJournal(ctx context.Context, db *sql.DB) (*journal, error) {
	j := &journal{db: db, wake: make(chan struct{}, 1), open: map[string]bool{}}
	// An entry beside its record came a moment too late to be removed with it.
	if _, err := db.ExecContext(ctx, "DELETE FROM journal WHERE id IN (SELECT id FROM activations)"); err != nil {
		return nil, fmt.Errorf("tidying the journal: %w", err)
	}
	rows, err := db.QueryContext(ctx, "SELECT id, place FROM journal")
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var place int64
		if err := rows.Scan(&id, &place); err != nil {
			return nil, fmt.Errorf("reading the journal: %w", err)
		}
		j.open[id] = true
		j.left = max(j.left, place)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	j.tasks.Go(j.run)
	return j, nil
}

// close writes what is wished for, and takes no more.
func (j *journal) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.signal()
	j.tasks.Wait()
}

func (j *journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// change waits until do is committed. It waits also when its caller does not any
// more: what came of it must be known.
func (j *journal) change(do func(ctx context.Context, tx *sql.Tx) error) error {
	c := &journalChange{do, make(chan error, 1)}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return errors.New("the store is closed")
	}
	j.todo = append(j.todo, c)
	j.mu.Unlock()
	j.signal()
	return <-c.done
}

func (j *journal) run() {
	for range j.wake {
		for {
			batch, closed := j.next()
			if len(batch) == 0 && closed {
				return
			}
			if len(batch) == 0 {
				break
			}
			err := diskFull(j.commit(batch))
			for _, c := range batch {
				c.done <- err
			}
		}
	}
}

func (j *journal) next() (batch []*journalChange, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.todo), journalBatch)
	batch = j.todo[:n:n]
	j.todo = j.todo[n:]
	return batch, j.closed
}

func (j *journal) commit(batch []*journalChange) error {
	ctx, cancel := context.WithTimeout(context.Background(), journalWait)
	defer cancel()
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	defer tx.Rollback() // does nothing after the commit
	for _, c := range batch {
		if err := c.do(ctx, tx); err != nil {
			return fmt.Errorf("writing the journal: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

func (j *journal) opened(id string, open bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if open {
		j.open[id] = true
	} else {
		delete(j.open, id)
	}
}

// settle removes the entries of activations in the transaction that writes their
// records. Whoever accepts one of them after this transaction finds the record.
func (j *journal) settle(ctx context.Context, tx *sql.Tx, batch []*Activation) error {
	for _, a := range batch {
		j.mu.Lock()
		open := j.open[a.ID]
		j.mu.Unlock()
		if !open {
			continue
		}
		if err := forget(ctx, tx, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// settled is called when that transaction is committed.
func (j *journal) settled(batch []*Activation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range batch {
		delete(j.open, a.ID)
	}
}

func forget(ctx context.Context, tx *sql.Tx, id string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM journal WHERE id = ?", id); err != nil {
		return fmt.Errorf("removing from the journal: %w", err)
	}
	return nil
}

// Accept implements Journal.
func (s *SQLite) Accept(_ context.Context, a Accepted) error {
	s.journal.opened(a.ID, true)
	var added int64
	err := s.journal.change(func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO journal (id, kind, code_id, sent, body)
			SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM activations WHERE id = ?)`,
			a.ID, a.Kind, a.CodeID, a.Sent, a.Body, a.ID)
		if err != nil {
			return err
		}
		added, err = res.RowsAffected()
		return err
	})
	if err != nil || added == 0 {
		s.journal.opened(a.ID, false)
	}
	return err
}

// Claim implements Journal.
func (s *SQLite) Claim(_ context.Context, id string, at time.Time) (mine bool, err error) {
	err = s.journal.change(func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE journal SET sent = ? WHERE id = ? AND sent = 0", at.UnixMilli(), id)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		mine = n == 1
		return err
	})
	return mine && err == nil, err
}

// Forget implements Journal.
func (s *SQLite) Forget(_ context.Context, id string) error {
	err := s.journal.change(func(ctx context.Context, tx *sql.Tx) error { return forget(ctx, tx, id) })
	if err == nil {
		s.journal.opened(id, false)
	}
	return err
}

// Left implements Journal.
func (s *SQLite) Left(ctx context.Context, after int64, limit int) ([]Accepted, error) {
	rows, err := s.read.QueryContext(ctx,
		"SELECT id, kind, code_id, sent, body, place FROM journal WHERE place > ? AND place <= ? ORDER BY place LIMIT ?",
		after, s.journal.left, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	defer rows.Close()
	var list []Accepted
	for rows.Next() {
		var a Accepted
		if err := rows.Scan(&a.ID, &a.Kind, &a.CodeID, &a.Sent, &a.Body, &a.Place); err != nil {
			return nil, fmt.Errorf("reading the journal: %w", err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}
