package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// codeGrace is how long code is kept after no entity has it any more: longer than
// an accepted run may wait for its container.
const codeGrace = 10 * time.Minute

const entityColumns = "namespace, package, name, collection, revision, ref, code_id, doc"

func scanEntity(scan func(...any) error) (Entity, error) {
	var e Entity
	err := scan(&e.Namespace, &e.Package, &e.Name, &e.Collection, &e.Revision, &e.Ref, &e.CodeID, &e.Doc)
	return e, err
}

// Get implements Store.
func (s *Database) Get(ctx context.Context, key Key) (Entity, error) {
	e, err := scanEntity(s.reader().row(ctx,
		"SELECT "+entityColumns+" FROM entities WHERE namespace = ? AND package = ? AND name = ?",
		key.Namespace, key.Package, key.Name).Scan)
	if err != nil {
		return Entity{}, fmt.Errorf("reading an entity: %w", err)
	}
	return e, nil
}

// Put implements Store.
func (s *Database) Put(ctx context.Context, e Entity, code *string) (Entity, error) {
	err := s.inTx(ctx, func(tx queryer) error {
		revision, err := nextRevision(ctx, tx)
		if err != nil {
			return err
		}
		if err := checkRevision(ctx, tx, e); err != nil {
			return err
		}
		if code != nil {
			if e.CodeID, err = replaceCode(ctx, tx, e.CodeID, *code); err != nil {
				return err
			}
		}
		e.Revision = revision
		_, err = tx.exec(ctx, "INSERT INTO entities ("+entityColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (namespace, package, name) DO UPDATE SET collection = excluded.collection,
			revision = excluded.revision, ref = excluded.ref, code_id = excluded.code_id, doc = excluded.doc`,
			e.Namespace, e.Package, e.Name, string(e.Collection), e.Revision, e.Ref, e.CodeID, e.Doc)
		if err != nil {
			return fmt.Errorf("writing an entity: %w", err)
		}
		return nil
	})
	return e, err
}

// nextRevision comes first in whatever writes entities: until the transaction
// ends nobody else gets a revision, so writers come one after the other.
func nextRevision(ctx context.Context, tx queryer) (int64, error) {
	var revision int64
	err := tx.row(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value").Scan(&revision)
	if err != nil {
		return 0, fmt.Errorf("making a revision: %w", err)
	}
	return revision, nil
}

// checkRevision returns ErrConflict unless e is stored at e.Revision.
func checkRevision(ctx context.Context, tx queryer, e Entity) error {
	var stored int64
	err := tx.row(ctx, "SELECT revision FROM entities WHERE namespace = ? AND package = ? AND name = ?",
		e.Namespace, e.Package, e.Name).Scan(&stored)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("reading a revision: %w", err)
	}
	if stored != e.Revision {
		return ErrConflict
	}
	return nil
}

func replaceCode(ctx context.Context, tx queryer, old int64, code string) (id int64, err error) {
	if err := releaseCode(ctx, tx, old); err != nil {
		return 0, err
	}
	if err := tx.row(ctx, "INSERT INTO code (code) VALUES (?) RETURNING id", []byte(code)).Scan(&id); err != nil {
		return 0, fmt.Errorf("writing code: %w", err)
	}
	return id, nil
}

// releaseCode lets go of code, and removes what was let go long enough ago.
func releaseCode(ctx context.Context, tx queryer, id int64) error {
	now := time.Now()
	if _, err := tx.exec(ctx, "UPDATE code SET released = ? WHERE id = ?", now.UnixMilli(), id); err != nil {
		return fmt.Errorf("releasing code: %w", err)
	}
	if _, err := tx.exec(ctx, "DELETE FROM code WHERE released < ? AND id NOT IN (SELECT code_id FROM journal)", now.Add(-codeGrace).UnixMilli()); err != nil {
		return fmt.Errorf("removing old code: %w", err)
	}
	return nil
}

// Delete implements Store.
func (s *Database) Delete(ctx context.Context, e Entity) error {
	return s.inTx(ctx, func(tx queryer) error {
		if _, err := nextRevision(ctx, tx); err != nil {
			return err
		}
		if err := checkRevision(ctx, tx, e); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "DELETE FROM entities WHERE namespace = ? AND package = ? AND name = ?",
			e.Namespace, e.Package, e.Name)
		if err != nil {
			return fmt.Errorf("removing an entity: %w", err)
		}
		return releaseCode(ctx, tx, e.CodeID)
	})
}

func (l Listing) where() (string, []any) {
	if l.Package == nil {
		return " FROM entities WHERE namespace = ? AND collection = ?", []any{l.Namespace, string(l.Collection)}
	}
	return " FROM entities WHERE namespace = ? AND collection = ? AND package = ?",
		[]any{l.Namespace, string(l.Collection), *l.Package}
}

// List implements Store.
func (s *Database) List(ctx context.Context, l Listing) ([]Entity, error) {
	where, args := l.where()
	return s.entities(ctx, where+" ORDER BY revision DESC LIMIT ? OFFSET ?", append(args, orAll(l.Limit), l.Skip)...)
}

// Referring implements Store.
func (s *Database) Referring(ctx context.Context, namespace, ref string) ([]Entity, error) {
	return s.entities(ctx, " FROM entities WHERE namespace = ? AND ref = ? AND ref <> '' ORDER BY revision", namespace, ref)
}

func (s *Database) entities(ctx context.Context, where string, args ...any) ([]Entity, error) {
	list, err := all(ctx, s.reader(), scanEntity, "SELECT "+entityColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("listing entities: %w", err)
	}
	return list, nil
}

// Count implements Store.
func (s *Database) Count(ctx context.Context, l Listing) (int, error) {
	where, args := l.where()
	n, err := s.reader().count(ctx, where, args...)
	if err != nil {
		return 0, fmt.Errorf("counting entities: %w", err)
	}
	return n, nil
}

// Code implements Store.
func (s *Database) Code(ctx context.Context, id int64) (string, error) {
	var code string
	err := s.reader().row(ctx, "SELECT code FROM code WHERE id = ?", id).Scan(&code)
	if err != nil {
		return "", fmt.Errorf("reading code: %w", err)
	}
	return code, nil
}

// orAll turns 0 into a limit that nothing reaches.
func orAll(limit int) int64 {
	if limit == 0 {
		return math.MaxInt64
	}
	return int64(limit)
}
