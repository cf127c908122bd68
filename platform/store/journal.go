package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	Late   bool   // it may be over meanwhile, and have its record; not kept
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
	// as far as it is known: the body is Record.Draft's.
	AcceptedRecord AcceptedKind = "record"
)

// A Journal keeps what was accepted and has no record yet. What its methods have
// written is there after any death of this process when they return. PutActivation
// removes an entry in the transaction that writes its record.
type Journal interface {
	// Accept adds an entry, unless it has its record already.
	Accept(ctx context.Context, a Accepted) error
	// ClaimRun marks an entry as sent now. It returns true once: whoever gets it may send
	// the run, and nobody else ever.
	ClaimRun(ctx context.Context, id string) (bool, error)
	// Forget removes an entry that was not to be accepted after all.
	Forget(ctx context.Context, id string) error
	// Left returns what earlier processes left, in the order of acceptance: up to limit
	// entries after that place. What this process has accepted is not among them.
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
	db    *Database
	left  int64         // the last place that an earlier process used
	wake  chan struct{} // cap 1
	tasks sync.WaitGroup

	mu     sync.Mutex
	todo   []*journalChange
	open   map[string]bool // the ids of all entries, also of those being written
	closed bool
}

// A journalChange is what one caller waits for. Nobody asks for a second one of the
// same entry meanwhile.
type journalChange struct {
	accept *Accepted // what to add, or
	claim  string    // whom to claim, or
	forget string    // whom to forget

	met  bool       // it was as the change expects: not over, and not claimed before
	done chan error // cap 1
}

func startJournal(db *Database) *journal {
	j := &journal{db: db, wake: make(chan struct{}, 1), open: map[string]bool{}}
	j.tasks.Go(j.run)
	return j
}

// TakeOver makes what earlier processes left in the journal ours, for Left. A platform calls it
// once, when it has claimed the database, before it accepts anything.
func (s *Database) TakeOver(ctx context.Context) error {
	j := s.journal
	err := s.inTx(ctx, func(tx queryer) error {
		// An entry beside its record came a moment too late to be removed with it.
		if _, err := tx.exec(ctx, "DELETE FROM journal WHERE id IN (SELECT id FROM activations)"); err != nil {
			return err
		}
		_, err := all(ctx, tx, func(scan func(...any) error) (struct{}, error) {
			var id string
			var place int64
			err := scan(&id, &place)
			j.opened(id, true)
			j.left = max(j.left, place)
			return struct{}{}, err
		}, "SELECT id, place FROM journal")
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	return nil
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

// change waits until c is committed. It waits also when its caller does not any
// more: what came of it must be known.
func (j *journal) change(c *journalChange) error {
	c.done = make(chan error, 1)
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
			err := j.commit(batch)
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
	err := j.db.inTx(ctx, func(tx queryer) error {
		return errors.Join(acceptAll(ctx, tx, batch), claimAll(ctx, tx, batch), forgetAll(ctx, tx, batch))
	})
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// acceptAll adds what is to be added, and takes away again what is over.
func acceptAll(ctx context.Context, tx queryer, batch []*journalChange) error {
	var rows, late []any
	byID := map[string]*journalChange{}
	for _, c := range batch {
		if c.accept == nil {
			continue
		}
		a := c.accept
		c.met = true
		rows = append(rows, a.ID, string(a.Kind), a.CodeID, a.Sent, a.Body)
		if a.Late {
			late, byID[a.ID] = append(late, a.ID), c
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.exec(ctx, "INSERT INTO journal (id, kind, code_id, sent, body) VALUES (?, ?, ?, ?, ?)"+
		strings.Repeat(", (?, ?, ?, ?, ?)", len(rows)/5-1), rows...)
	if err != nil || len(late) == 0 {
		return err
	}
	over, err := all(ctx, tx, oneText, "DELETE FROM journal WHERE id IN ("+marks(len(late))+
		") AND id IN (SELECT a.id FROM activations a WHERE a.id = journal.id) RETURNING id", late...)
	for _, id := range over {
		byID[id].met = false
	}
	return err
}

// claimAll claims what was not claimed before.
func claimAll(ctx context.Context, tx queryer, batch []*journalChange) error {
	args := []any{time.Now().UnixMilli()}
	byID := map[string][]*journalChange{}
	for _, c := range batch {
		if c.claim == "" {
			continue
		}
		if byID[c.claim] == nil {
			args = append(args, c.claim)
		}
		byID[c.claim] = append(byID[c.claim], c)
	}
	if len(byID) == 0 {
		return nil
	}
	claimed, err := all(ctx, tx, oneText,
		"UPDATE journal SET sent = ? WHERE sent = 0 AND id IN ("+marks(len(byID))+") RETURNING id", args...)
	for _, id := range claimed {
		byID[id][0].met = true
	}
	return err
}

func forgetAll(ctx context.Context, tx queryer, batch []*journalChange) error {
	var ids []any
	for _, c := range batch {
		if c.forget != "" {
			ids = append(ids, c.forget)
		}
	}
	return removeAccepted(ctx, tx, ids)
}

func removeAccepted(ctx context.Context, tx queryer, ids []any) error {
	for some := range slices.Chunk(ids, journalBatch) {
		if _, err := tx.exec(ctx, "DELETE FROM journal WHERE id IN ("+marks(len(some))+")", some...); err != nil {
			return fmt.Errorf("removing from the journal: %w", err)
		}
	}
	return nil
}

// marks returns n question marks.
func marks(n int) string { return "?" + strings.Repeat(", ?", n-1) }

func oneText(scan func(...any) error) (text string, err error) { return text, scan(&text) }

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
func (j *journal) settle(ctx context.Context, tx queryer, batch []*Activation) error {
	var ids []any
	j.mu.Lock()
	for _, a := range batch {
		if j.open[a.ID] {
			ids = append(ids, a.ID)
		}
	}
	j.mu.Unlock()
	return removeAccepted(ctx, tx, ids)
}

// settled is called when that transaction is committed.
func (j *journal) settled(batch []*Activation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range batch {
		delete(j.open, a.ID)
	}
}

// Accept implements Journal.
func (s *Database) Accept(_ context.Context, a Accepted) error {
	c := &journalChange{accept: &a}
	s.journal.opened(a.ID, true)
	err := s.journal.change(c)
	if err == nil && !c.met || err != nil && !a.Late {
		s.journal.opened(a.ID, false)
	} // after an error the entry may be there all the same: one whose activation goes on leaves with its record
	return err
}

// ClaimRun implements Journal.
func (s *Database) ClaimRun(_ context.Context, id string) (bool, error) {
	c := &journalChange{claim: id}
	err := s.journal.change(c)
	return c.met && err == nil, err
}

// Forget implements Journal.
func (s *Database) Forget(_ context.Context, id string) error {
	err := s.journal.change(&journalChange{forget: id})
	if err == nil {
		s.journal.opened(id, false)
	}
	return err
}

// Left implements Journal.
func (s *Database) Left(ctx context.Context, after int64, limit int) ([]Accepted, error) {
	list, err := all(ctx, s.reader(), func(scan func(...any) error) (a Accepted, err error) {
		return a, scan(&a.ID, &a.Kind, &a.CodeID, &a.Sent, &a.Body, &a.Place)
	}, "SELECT id, kind, code_id, sent, body, place FROM journal WHERE place > ? AND place <= ? ORDER BY place LIMIT ?",
		after, s.journal.left, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return list, nil
}
