package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // the driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite is a Store in one file.
type SQLite struct {
	write   *sql.DB // one connection: SQLite has one writer
	read    *sql.DB
	writer  *activationWriter
	journal *journal
}

// readers is how many queries may run at a time.
const readers = 4

// OpenSQLite opens or creates the database in the file path, which nobody else
// may read, and brings it to today's layout.
func OpenSQLite(ctx context.Context, path string, log *slog.Logger) (*SQLite, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the database's path: %w", err)
	}
	// SQLite gives its side files the mode of this one.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	err = errors.Join(f.Chmod(0o600), f.Close())
	if err != nil {
		return nil, fmt.Errorf("protecting the database: %w", err)
	}
	s, err := openBoth(path)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		s.write.Close()
		s.read.Close()
		return nil, fmt.Errorf("the database %s: %w%s", path, err, advice(err))
	}
	if s.journal, err = startJournal(ctx, s.write); err != nil {
		s.write.Close()
		s.read.Close()
		return nil, fmt.Errorf("the database %s: %w%s", path, err, advice(err))
	}
	s.writer = startWriter(s.write, s.journal, log)
	return s, nil
}

// advice says what to do about a database that cannot be opened.
func advice(err error) string {
	switch resultCode(err) {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return "; it is damaged, or not ours: put a copy back, or move it away to begin with an empty one"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return "; this user must be able to write it and its directory"
	case sqlite3.SQLITE_FULL:
		return "; make room on its disk"
	}
	return ""
}

// diskFull adds ErrDiskFull to an error that means that.
func diskFull(err error) error {
	if resultCode(err) == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// resultCode returns SQLite's own number for an error; 0: it is none of SQLite's.
func resultCode(err error) int {
	var of *sqlite.Error
	if !errors.As(err, &of) {
		return 0
	}
	return of.Code() & 0xff // the rest tells more than anybody here wants
}

func openBoth(path string) (*SQLite, error) {
	write, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(path, "deferred"))
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &SQLite{write: write, read: read}, nil
}

// dsn says how to open the file. With synchronous NORMAL a commit in WAL mode
// costs no fsync: the death of a process loses nothing, a power cut at most the
// last moments.
func dsn(path, txlock string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)",
		"wal_autocheckpoint(4000)", // pages: a checkpoint waits for the disk, and records only come
	}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// Close implements Store.
func (s *SQLite) Close() error {
	s.journal.close()
	return errors.Join(s.writer.close(), s.read.Close(), s.write.Close())
}

// inTx runs do in a transaction.
func (s *SQLite) inTx(ctx context.Context, do func(tx *sql.Tx) error) (err error) {
	defer func() { err = diskFull(err) }()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := do(tx); err != nil {
		tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// found turns SQL's word for an empty answer into ours.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
