package store

import (
	"context"
	"fmt"
	"strings"
)

// PutActivation implements Store.
func (s *SQLite) PutActivation(ctx context.Context, a *Activation) error {
	return s.writer.put(ctx, a)
}

// KeepActivation implements Store.
func (s *SQLite) KeepActivation(ctx context.Context, a *Activation) error {
	if err := s.writer.put(ctx, a); err != nil {
		return err
	}
	return s.writer.waitWritten(ctx, a.ID)
}

// Activation implements Store.
func (s *SQLite) Activation(ctx context.Context, namespace, id string) (*Activation, error) {
	if a := s.writer.pendingByID(id); a != nil {
		if a.Namespace != namespace {
			return nil, ErrNotFound
		}
		return a, nil
	}
	a := &Activation{ID: id, Namespace: namespace}
	err := s.read.QueryRowContext(ctx,
		"SELECT path, start, status, head, response, logs FROM activations WHERE id = ? AND namespace = ?", id, namespace).
		Scan(&a.Path, &a.Start, &a.Status, &a.Head, &a.Response, &a.Logs)
	if err != nil {
		return nil, fmt.Errorf("reading an activation: %w", found(err))
	}
	return a, nil
}

// Activations implements Store.
func (s *SQLite) Activations(ctx context.Context, f Filter) ([]*Activation, error) {
	if err := s.writer.flush(ctx); err != nil {
		return nil, err
	}
	columns := "id, path, start, status, head, x'', x''"
	if f.Docs {
		columns = "id, path, start, status, head, response, logs"
	}
	where, args := f.where()
	rows, err := s.read.QueryContext(ctx, "SELECT "+columns+where+" ORDER BY start DESC, rowid DESC LIMIT ? OFFSET ?",
		append(args, orAll(f.Limit), f.Skip)...)
	if err != nil {
		return nil, fmt.Errorf("listing activations: %w", err)
	}
	defer rows.Close()
	var list []*Activation
	for rows.Next() {
		a := &Activation{Namespace: f.Namespace}
		if err := rows.Scan(&a.ID, &a.Path, &a.Start, &a.Status, &a.Head, &a.Response, &a.Logs); err != nil {
			return nil, fmt.Errorf("listing activations: %w", err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// CountActivations implements Store.
func (s *SQLite) CountActivations(ctx context.Context, f Filter) (int, error) {
	if err := s.writer.flush(ctx); err != nil {
		return 0, err
	}
	where, args := f.where()
	var n int
	if err := s.read.QueryRowContext(ctx, "SELECT count(*)"+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting activations: %w", err)
	}
	return n, nil
}

func (f Filter) where() (string, []any) {
	var b strings.Builder
	b.WriteString(" FROM activations WHERE namespace = ?")
	args := []any{f.Namespace}
	add := func(condition string, arg any) {
		b.WriteString(condition)
		args = append(args, arg)
	}
	if f.Path != "" {
		add(" AND path = ?", f.Path)
	}
	if f.Since != 0 {
		add(" AND start >= ?", f.Since)
	}
	if f.Upto != 0 {
		add(" AND start <= ?", f.Upto)
	}
	return b.String(), args
}
