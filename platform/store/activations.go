package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// pathOf makes an activation's path of its columns.
const pathOf = "CASE WHEN package = '' THEN name ELSE package || '/' || name END"

// PutActivation implements Store.
func (s *Database) PutActivation(ctx context.Context, a *Activation) error {
	return s.writer.put(ctx, a)
}

// KeepActivation implements Store.
func (s *Database) KeepActivation(ctx context.Context, a *Activation) error {
	if err := s.writer.put(ctx, a); err != nil {
		return err
	}
	return s.writer.flush(ctx, a.Namespace)
}

// Activation implements Store.
func (s *Database) Activation(ctx context.Context, namespace, id string) (*Activation, error) {
	if a := s.writer.pendingByID(id); a != nil {
		if a.Namespace != namespace {
			return nil, ErrNotFound
		}
		return a, nil
	}
	a := &Activation{ID: id, Namespace: namespace}
	err := s.reader().row(ctx,
		"SELECT "+pathOf+", start, status, head, response, logs FROM activations WHERE id = ? AND namespace = ?", id, namespace).
		Scan(&a.Path, &a.Start, &a.Status, &a.Head, &a.Response, &a.Logs)
	if err != nil {
		return nil, fmt.Errorf("reading an activation: %w", err)
	}
	return a, nil
}

// Activations implements Store.
func (s *Database) Activations(ctx context.Context, f Filter) ([]*Activation, error) {
	if err := s.writer.flush(ctx, f.Namespace); err != nil {
		return nil, err
	}
	scan := func(scan func(...any) error) (*Activation, error) {
		a := &Activation{Namespace: f.Namespace}
		return a, scan(&a.ID, &a.Path, &a.Start, &a.Status, &a.Head, &a.Response, &a.Logs)
	}
	statement, args := f.page()
	list, err := all(ctx, s.reader(), scan, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("listing activations: %w", err)
	}
	return list, nil
}

// page is the statement for the records that f chooses, the youngest first. What
// is skipped is skipped in the index alone.
func (f Filter) page() (string, []any) {
	columns := "id, " + pathOf + ", start, status, head, '', ''"
	if f.Docs {
		columns = "id, " + pathOf + ", start, status, head, response, logs"
	}
	where, args := f.where()
	const order = " ORDER BY start DESC, seq DESC"
	return "SELECT " + columns + " FROM activations WHERE seq IN (SELECT seq" + where + order + " LIMIT ? OFFSET ?)" + order,
		append(args, orAll(f.Limit), f.Skip)
}

// CountActivations implements Store.
func (s *Database) CountActivations(ctx context.Context, f Filter) (int, error) {
	if err := s.writer.flush(ctx, f.Namespace); err != nil {
		return 0, err
	}
	where, args := f.where()
	n, err := s.reader().count(ctx, where, args...)
	if err != nil {
		return 0, fmt.Errorf("counting activations: %w", err)
	}
	return n, nil
}

func (f Filter) where() (string, []any) {
	var b strings.Builder
	b.WriteString(" FROM activations WHERE namespace = ?")
	args := []any{f.Namespace}
	add := func(condition string, values ...any) {
		b.WriteString(condition)
		args = append(args, values...)
	}
	if f.Path != "" {
		pkg, name := splitPath(f.Path)
		add(" AND package = ? AND name = ?", pkg, name)
	}
	if f.Since != 0 {
		add(" AND start >= ?", f.Since)
	}
	if f.Upto != 0 {
		add(" AND start <= ?", f.Upto)
	}
	return b.String(), args
}

// rowsAtOnce is how many records one statement takes: a server far away is asked
// seldom.
const rowsAtOnce = 64

// insertActivations adds records, or writes over those of the same id. No id may
// come twice.
func insertActivations(ctx context.Context, tx queryer, list []*Activation) error {
	for some := range slices.Chunk(list, rowsAtOnce) {
		args := make([]any, 0, len(some)*9)
		for _, a := range some {
			pkg, name := splitPath(a.Path)
			args = append(args, a.ID, a.Namespace, pkg, name, a.Start, a.Status, a.Head, a.Response, a.Logs)
		}
		_, err := tx.exec(ctx, `INSERT INTO activations (id, namespace, package, name, start, status, head, response, logs)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?)", len(some)-1)+`
			ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, package = excluded.package, name = excluded.name,
			start = excluded.start, status = excluded.status, head = excluded.head, response = excluded.response, logs = excluded.logs`, args...)
		if err != nil {
			return fmt.Errorf("inserting: %w", err)
		}
	}
	return nil
}

// splitPath splits "package/name"; "name" is in the default package, "".
func splitPath(path string) (pkg, name string) {
	pkg, name, ok := strings.Cut(path, "/")
	if !ok {
		return "", path
	}
	return pkg, name
}
