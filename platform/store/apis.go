package store

import (
	"context"
	"fmt"
)

// An API is a namespace's routes below one base path. What the document means is
// package controller's business.
type API struct {
	Namespace string
	BasePath  string // "/hello"
	Revision  int64  // 0: not stored yet
	Doc       []byte
}

// APIs implements Store.
func (s *Database) APIs(ctx context.Context, namespace string) ([]API, error) {
	list, err := all(ctx, s.reader(), scanAPI,
		"SELECT namespace, base_path, revision, doc FROM apis WHERE namespace = ? ORDER BY base_path", namespace)
	if err != nil {
		return nil, fmt.Errorf("listing APIs: %w", err)
	}
	return list, nil
}

func scanAPI(scan func(...any) error) (a API, err error) {
	return a, scan(&a.Namespace, &a.BasePath, &a.Revision, &a.Doc)
}

// PutAPI implements Store.
func (s *Database) PutAPI(ctx context.Context, a API) (API, error) {
	err := s.inTx(ctx, func(tx queryer) error {
		revision, err := nextRevision(ctx, tx)
		if err != nil {
			return err
		}
		statement, args := "INSERT INTO apis (doc, revision, namespace, base_path) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			[]any{a.Doc, revision, a.Namespace, a.BasePath}
		if a.Revision != 0 {
			statement, args = "UPDATE apis SET doc = ?, revision = ? WHERE namespace = ? AND base_path = ? AND revision = ?", append(args, a.Revision)
		}
		if err := tx.one(ctx, statement, args...); err != nil {
			return fmt.Errorf("writing an API: %w", err)
		}
		a.Revision = revision
		return nil
	})
	return a, err
}

// DeleteAPI implements Store.
func (s *Database) DeleteAPI(ctx context.Context, a API) error {
	return s.inTx(ctx, func(tx queryer) error {
		err := tx.one(ctx, "DELETE FROM apis WHERE namespace = ? AND base_path = ? AND revision = ?", a.Namespace, a.BasePath, a.Revision)
		if err != nil {
			return fmt.Errorf("removing an API: %w", err)
		}
		return nil
	})
}

// one runs a statement that changes one row. The error is ErrConflict when it changes none.
func (q queryer) one(ctx context.Context, statement string, args ...any) error {
	res, err := q.exec(ctx, statement, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrConflict
	}
	return err
}
