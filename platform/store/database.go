package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Database is a Store in a SQL database, opened by OpenSQLite or OpenPostgres.
// What these differ in is their dialect's business; every other file of this
// package holds for both.
type Database struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB // perhaps the same
	journal *journal
	writer  *activationWriter
	log     *slog.Logger

	// What KeepActivations and Claim have begun ends before the pools do.
	stopRemoving, stopHolding context.CancelFunc // nil: not begun
	removing, holding         sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// A dialect is what one database wants otherwise than the others. Statements are
// written once: with ? for parameters, ON CONFLICT and RETURNING, no text where
// bytes are meant, and nothing that only one of them knows.
type dialect interface {
	// rebind turns the parameters ? of a statement into the database's own.
	rebind(statement string) string
	// script is what a migration says for this database.
	script(m migration) string
	// layout returns how many migrations the database has had. Until tx ends
	// nobody else can begin to migrate it.
	layout(ctx context.Context, tx queryer) (int, error)
	setLayout(ctx context.Context, tx queryer, layout int) error
	// explain adds to an error which of this package's it is, if it is one.
	explain(err error) error
	// refuses reports whether an error says that the database can never take what it
	// was given, so that another attempt is in vain.
	refuses(err error) bool
	// advice says what to do about a database that cannot be opened.
	advice(err error) string
}

// newDatabase brings the database to today's layout and starts what works on it.
// It closes both pools when it fails.
func newDatabase(ctx context.Context, d dialect, write, read *sql.DB, log *slog.Logger) (*Database, error) {
	s := &Database{dialect: d, write: write, read: read, log: log}
	if err := s.migrate(ctx); err != nil {
		s.closePools()
		return nil, fmt.Errorf("%w%s", err, d.advice(err))
	}
	s.journal = startJournal(s)
	s.writer = startWriter(s, log)
	return s, nil
}

// Close implements Store.
func (s *Database) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Database) close() error {
	if s.stopRemoving != nil {
		s.stopRemoving()
		s.removing.Wait()
	}
	s.journal.close()
	err := s.writer.close()
	if s.stopHolding != nil { // last: until here the database is ours
		s.stopHolding()
		s.holding.Wait()
	}
	return errors.Join(err, s.closePools())
}

func (s *Database) closePools() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

// errNoText says that a text is none to this database: it has a NUL, or is not
// UTF-8. Nothing that is stored can be called so.
var errNoText = errors.New("the database takes no such text")

// A queryer runs statements, with ? for parameters, in a transaction or each on
// its own.
type queryer struct {
	on interface {
		ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
	}
	dialect dialect
}

func (q queryer) exec(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	res, err := q.on.ExecContext(ctx, q.dialect.rebind(statement), args...)
	return res, q.dialect.explain(err)
}

func (q queryer) row(ctx context.Context, statement string, args ...any) row {
	return row{q.on.QueryRowContext(ctx, q.dialect.rebind(statement), args...), q.dialect}
}

// A row is the first of an answer.
type row struct {
	row     *sql.Row
	dialect dialect
}

// Scan reads the row; without one the error is ErrNotFound.
func (r row) Scan(to ...any) error {
	err := r.dialect.explain(r.row.Scan(to...))
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, errNoText) {
		return ErrNotFound
	}
	return err
}

// count counts the rows that from, "FROM … WHERE …", names.
func (q queryer) count(ctx context.Context, from string, args ...any) (int, error) {
	var n int
	err := q.row(ctx, "SELECT count(*)"+from, args...).Scan(&n)
	if errors.Is(err, ErrNotFound) { // nothing can be called so
		return 0, nil
	}
	return n, err
}

// all returns every row that a statement answers with, each read by read.
func all[T any](ctx context.Context, q queryer, read func(scan func(...any) error) (T, error), statement string, args ...any) ([]T, error) {
	list, err := scanAll(ctx, q, read, statement, args)
	if err = q.dialect.explain(err); errors.Is(err, errNoText) {
		return nil, nil
	}
	return list, err
}

func scanAll[T any](ctx context.Context, q queryer, read func(scan func(...any) error) (T, error), statement string, args []any) ([]T, error) {
	rows, err := q.on.QueryContext(ctx, q.dialect.rebind(statement), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		row, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// reader runs statements that only read.
func (s *Database) reader() queryer { return queryer{s.read, s.dialect} }

// inTx runs do in a transaction that may write. With SQLite one runs at a time;
// with PostgreSQL they run beside each other, each statement seeing what was
// committed before it began.
func (s *Database) inTx(ctx context.Context, do func(tx queryer) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", s.dialect.explain(err))
	}
	if err := do(queryer{tx, s.dialect}); err != nil {
		tx.Rollback()
		return err
	}
	if err := s.dialect.explain(tx.Commit()); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
