package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A Subject is somebody who may call the API, with a key for one namespace. Who has
// several namespaces is several subjects of one name; a namespace may be several people's.
type Subject struct {
	UUID      string // the first half of the API key
	Name      string
	Namespace string
	KeyHash   []byte // SHA-256 of the key's second half
	Blocked   bool   // of all subjects of that name
	Created   int64  // milliseconds since 1970; 0: not known
}

// Subjects keeps who may call the API. Whatever changes there changes AccessVersion.
type Subjects interface {
	// Subject returns the subject with that uuid, or ErrNotFound.
	Subject(ctx context.Context, uuid string) (Subject, error)
	// Subjects returns all subjects by name and namespace, or those of a name, of a namespace, or
	// of both, where these are not empty.
	Subjects(ctx context.Context, name, namespace string) ([]Subject, error)
	// AddSubject adds s. ErrConflict says that the uuid is taken, or that s.Name has a key for
	// that namespace.
	AddSubject(ctx context.Context, s Subject) error
	// SetSubject adds s in place of the key that s.Name has for that namespace, if any.
	SetSubject(ctx context.Context, s Subject) error
	// RemoveSubject removes the subject with that uuid, or returns ErrNotFound.
	RemoveSubject(ctx context.Context, uuid string) error
	// BlockSubjects blocks or unblocks all subjects of a name, or returns ErrNotFound.
	BlockSubjects(ctx context.Context, name string, blocked bool) error
	// AccessVersion returns a number that grows with each change of subjects and of namespaces'
	// limits, also by other processes.
	AccessVersion(ctx context.Context) (int64, error)
}

const subjectColumns = "uuid, name, namespace, key_hash, blocked, created"

func scanSubject(scan func(...any) error) (s Subject, err error) {
	var blocked int
	err = scan(&s.UUID, &s.Name, &s.Namespace, &s.KeyHash, &blocked, &s.Created)
	s.Blocked = blocked != 0
	return s, err
}

// Subject implements Subjects.
func (s *Database) Subject(ctx context.Context, uuid string) (Subject, error) {
	sub, err := scanSubject(s.reader().row(ctx, "SELECT "+subjectColumns+" FROM subjects WHERE uuid = ?", uuid).Scan)
	if err != nil {
		return Subject{}, fmt.Errorf("looking for a subject: %w", err)
	}
	return sub, nil
}

// Subjects implements Subjects.
func (s *Database) Subjects(ctx context.Context, name, namespace string) ([]Subject, error) {
	list, err := all(ctx, s.reader(), scanSubject, "SELECT "+subjectColumns+` FROM subjects
		WHERE (? = '' OR name = ?) AND (? = '' OR namespace = ?) ORDER BY name, namespace`, name, name, namespace, namespace)
	if err != nil {
		return nil, fmt.Errorf("listing subjects: %w", err)
	}
	return list, nil
}

// AddSubject implements Subjects.
func (s *Database) AddSubject(ctx context.Context, sub Subject) error {
	return s.changeAccess(ctx, func(tx queryer) error { return insertSubject(ctx, tx, sub) })
}

// SetSubject implements Subjects.
func (s *Database) SetSubject(ctx context.Context, sub Subject) error {
	return s.changeAccess(ctx, func(tx queryer) error {
		_, err := tx.exec(ctx, "DELETE FROM subjects WHERE name = ? AND namespace = ?", sub.Name, sub.Namespace)
		if err != nil {
			return fmt.Errorf("removing an old key: %w", err)
		}
		return insertSubject(ctx, tx, sub)
	})
}

func insertSubject(ctx context.Context, tx queryer, sub Subject) error {
	if sub.Created == 0 {
		sub.Created = time.Now().UnixMilli()
	}
	blocked := 0
	if sub.Blocked {
		blocked = 1
	}
	res, err := tx.exec(ctx, "INSERT INTO subjects ("+subjectColumns+") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		sub.UUID, sub.Name, sub.Namespace, sub.KeyHash, blocked, sub.Created)
	if err != nil {
		return fmt.Errorf("adding a subject: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrConflict, err)
	}
	return nil
}

// RemoveSubject implements Subjects.
func (s *Database) RemoveSubject(ctx context.Context, uuid string) error {
	return s.changeAccess(ctx, func(tx queryer) error {
		return changeSome(tx.exec(ctx, "DELETE FROM subjects WHERE uuid = ?", uuid))
	})
}

// BlockSubjects implements Subjects.
func (s *Database) BlockSubjects(ctx context.Context, name string, blocked bool) error {
	to := 0
	if blocked {
		to = 1
	}
	return s.changeAccess(ctx, func(tx queryer) error {
		return changeSome(tx.exec(ctx, "UPDATE subjects SET blocked = ? WHERE name = ?", to, name))
	})
}

// changeSome returns ErrNotFound where nothing was changed.
func changeSome(res sql.Result, err error) error {
	if err != nil {
		return fmt.Errorf("changing a subject: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

// changeAccess runs do in a transaction that changes AccessVersion.
func (s *Database) changeAccess(ctx context.Context, do func(tx queryer) error) error {
	return s.inTx(ctx, func(tx queryer) error {
		if err := do(tx); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'access'"); err != nil {
			return fmt.Errorf("telling of a change: %w", err)
		}
		return nil
	})
}

// AccessVersion implements Subjects.
func (s *Database) AccessVersion(ctx context.Context) (int64, error) {
	var version int64
	if err := s.reader().row(ctx, "SELECT value FROM counters WHERE name = 'access'").Scan(&version); err != nil {
		return 0, fmt.Errorf("asking whether subjects changed: %w", err)
	}
	return version, nil
}
