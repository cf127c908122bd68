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
		if a.Namespace != namespace || a.Unkept {
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
	f, err := f.skipHours(ctx, s.reader())
	if err != nil {
		return nil, fmt.Errorf("listing activations: %w", err)
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
	n, err := f.count(ctx, s.reader())
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
	counts := tally{}
	for some := range slices.Chunk(list, rowsAtOnce) {
		if err := insertSome(ctx, tx, some, counts); err != nil {
			return fmt.Errorf("inserting: %w", err)
		}
	}
	return counts.write(ctx, tx)
}

func insertSome(ctx context.Context, tx queryer, some []*Activation, counts tally) error {
	args := make([]any, 0, len(some)*9)
	for _, a := range some {
		pkg, name := splitPath(a.Path)
		args = append(args, a.ID, a.Namespace, pkg, name, a.Start, a.Status, a.Head, a.Response, a.Logs)
	}
	id := func(scan func(...any) error) (id string, err error) {
		err = scan(&id)
		return id, err
	}
	added, err := scanAll(ctx, tx, id, `INSERT INTO activations (id, namespace, package, name, start, status, head, response, logs)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?)", len(some)-1)+`
		ON CONFLICT (id) DO NOTHING RETURNING id`, args)
	if err != nil {
		return tx.dialect.explain(err)
	}
	for _, a := range some {
		if len(added) < len(some) && !slices.Contains(added, a.ID) {
			if err := replaceActivation(ctx, tx, a, counts); err != nil {
				return err
			}
			continue
		}
		counts.add(a.Namespace, a.Start, 1)
	}
	return nil
}

// replaceActivation writes over the record of the same id.
func replaceActivation(ctx context.Context, tx queryer, a *Activation, counts tally) error {
	var namespace string
	var start int64
	if err := tx.row(ctx, "SELECT namespace, start FROM activations WHERE id = ?", a.ID).Scan(&namespace, &start); err != nil {
		return fmt.Errorf("replacing: %w", err)
	}
	pkg, name := splitPath(a.Path)
	_, err := tx.exec(ctx, "UPDATE activations SET namespace = ?, package = ?, name = ?, start = ?, status = ?, head = ?, response = ?, logs = ? WHERE id = ?",
		a.Namespace, pkg, name, a.Start, a.Status, a.Head, a.Response, a.Logs, a.ID)
	if err != nil {
		return fmt.Errorf("replacing: %w", err)
	}
	counts.add(namespace, start, -1)
	counts.add(a.Namespace, a.Start, 1)
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
