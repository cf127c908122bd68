package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
func (s *SQLite) Get(ctx context.Context, key Key) (Entity, error) {
	e, err := scanEntity(s.read.QueryRowContext(ctx,
		"SELECT "+entityColumns+" FROM entities WHERE namespace = ? AND package = ? AND name = ?",
		key.Namespace, key.Package, key.Name).Scan)
	if err != nil {
		return Entity{}, fmt.Errorf("reading an entity: %w", found(err))
	}
	return e, nil
}

// Put implements Store.
func (s *SQLite) Put(ctx context.Context, e Entity, code *string) (Entity, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkRevision(ctx, tx, e); err != nil {
			return err
		}
		if code != nil {
			id, err := replaceCode(ctx, tx, e.CodeID, *code)
			if err != nil {
				return err
			}
			e.CodeID = id
		}
		row := tx.QueryRowContext(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value")
		if err := row.Scan(&e.Revision); err != nil {
			return fmt.Errorf("making a revision: %w", err)
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO entities ("+entityColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			e.Namespace, e.Package, e.Name, e.Collection, e.Revision, e.Ref, e.CodeID, e.Doc)
		if err != nil {
			return fmt.Errorf("writing an entity: %w", err)
		}
		return nil
	})
	return e, err
}

// checkRevision returns ErrConflict unless e is stored at e.Revision.
func checkRevision(ctx context.Context, tx *sql.Tx, e Entity) error {
	var stored int64
	err := tx.QueryRowContext(ctx, "SELECT revision FROM entities WHERE namespace = ? AND package = ? AND name = ?",
		e.Namespace, e.Package, e.Name).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading a revision: %w", err)
	}
	if stored != e.Revision {
		return ErrConflict
	}
	return nil
}

func replaceCode(ctx context.Context, tx *sql.Tx, old int64, code string) (int64, error) {
	if err := releaseCode(ctx, tx, old); err != nil {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, "INSERT INTO code (code) VALUES (?)", code)
	if err != nil {
		return 0, fmt.Errorf("writing code: %w", err)
	}
	return res.LastInsertId()
}

// releaseCode lets go of code, and removes what was let go long enough ago.
func releaseCode(ctx context.Context, tx *sql.Tx, id int64) error {
	now := time.Now()
	if _, err := tx.ExecContext(ctx, "UPDATE code SET released = ? WHERE id = ?", now.UnixMilli(), id); err != nil {
		return fmt.Errorf("releasing code: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM code WHERE released < ? AND id NOT IN (SELECT code_id FROM journal)", now.Add(-codeGrace).UnixMilli()); err != nil {
		return fmt.Errorf("removing old code: %w", err)
	}
	return nil
}

// Delete implements Store.
func (s *SQLite) Delete(ctx context.Context, e Entity) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkRevision(ctx, tx, e); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM entities WHERE namespace = ? AND package = ? AND name = ?",
			e.Namespace, e.Package, e.Name)
		if err != nil {
			return fmt.Errorf("removing an entity: %w", err)
		}
		return releaseCode(ctx, tx, e.CodeID)
	})
}

func (l Listing) where() (string, []any) {
	if l.Package == nil {
		return " FROM entities WHERE namespace = ? AND collection = ?", []any{l.Namespace, l.Collection}
	}
	return " FROM entities WHERE namespace = ? AND collection = ? AND package = ?",
		[]any{l.Namespace, l.Collection, *l.Package}
}

// List implements Store.
func (s *SQLite) List(ctx context.Context, l Listing) ([]Entity, error) {
	where, args := l.where()
	return s.entities(ctx, where+" ORDER BY revision DESC LIMIT ? OFFSET ?", append(args, orAll(l.Limit), l.Skip)...)
}

// Referring implements Store.
func (s *SQLite) Referring(ctx context.Context, namespace, ref string) ([]Entity, error) {
	return s.entities(ctx, " FROM entities WHERE namespace = ? AND ref = ? AND ref <> '' ORDER BY revision", namespace, ref)
}

func (s *SQLite) entities(ctx context.Context, query string, args ...any) ([]Entity, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+entityColumns+query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing entities: %w", err)
	}
	defer rows.Close()
	var list []Entity
	for rows.Next() {
		e, err := scanEntity(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("listing entities: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// Count implements Store.
func (s *SQLite) Count(ctx context.Context, l Listing) (int, error) {
	where, args := l.where()
	var n int
	if err := s.read.QueryRowContext(ctx, "SELECT count(*)"+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting entities: %w", err)
	}
	return n, nil
}

// Code implements Store.
func (s *SQLite) Code(ctx context.Context, id int64) (string, error) {
	var code string
	err := s.read.QueryRowContext(ctx, "SELECT code FROM code WHERE id = ?", id).Scan(&code)
	if err != nil {
		return "", fmt.Errorf("reading code: %w", found(err))
	}
	return code, nil
}

// orAll turns 0 into SQLite's word for no limit.
func orAll(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}
