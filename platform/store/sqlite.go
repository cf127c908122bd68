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

// readers is how many queries may run at a time.
const readers = 4

// How a commit waits for the disk, in SQLite's words. In WAL mode NORMAL costs no
// fsync: the death of a process loses nothing, a power cut at most the last
// moments. With FULL a power cut loses nothing either.
const (
	syncNormal = "NORMAL"
	syncFull   = "FULL"
)

// OpenSQLite opens or creates the database in the file path, which nobody else
// may read, and brings it to today's layout. A power cut may lose what was written
// in the last moments.
func OpenSQLite(ctx context.Context, path string, log *slog.Logger) (*Database, error) {
	return openSQLite(ctx, path, syncNormal, log)
}

// OpenSQLiteSynced is OpenSQLite, but what is written has reached the disk.
func OpenSQLiteSynced(ctx context.Context, path string, log *slog.Logger) (*Database, error) {
	return openSQLite(ctx, path, syncFull, log)
}

func openSQLite(ctx context.Context, path, sync string, log *slog.Logger) (*Database, error) {
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
	write, read, err := openBoth(path, sync)
	if err != nil {
		return nil, err
	}
	s, err := newDatabase(ctx, sqliteDialect{}, write, read, log)
	if err != nil {
		return nil, fmt.Errorf("the database %s: %w", path, err)
	}
	return s, nil
}

// openBoth opens the file for writing, with one connection since SQLite has one
// writer, and for reading.
func openBoth(path, sync string) (write, read *sql.DB, err error) {
	write, err = sql.Open("sqlite", dsn(path, sync, "immediate"))
	if err != nil {
		return nil, nil, fmt.Errorf("opening the database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err = sql.Open("sqlite", dsn(path, sync, "deferred"))
	if err != nil {
		write.Close()
		return nil, nil, fmt.Errorf("opening the database: %w", err)
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

// dsn says how to open the file.
func dsn(path, sync, txlock string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + sync + ")", "foreign_keys(1)",
		"wal_autocheckpoint(4000)", // pages: a checkpoint waits for the disk, and records only come
	}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// sqliteDialect keeps the layout in the file's user_version.
type sqliteDialect struct{}

func (sqliteDialect) rebind(statement string) string { return statement }
func (sqliteDialect) script(m migration) string      { return m.sqlite }

func (sqliteDialect) layout(ctx context.Context, tx queryer) (int, error) {
	var layout int
	err := tx.row(ctx, "PRAGMA user_version").Scan(&layout)
	return layout, err
}

func (sqliteDialect) setLayout(ctx context.Context, tx queryer, layout int) error {
	_, err := tx.exec(ctx, fmt.Sprintf("PRAGMA user_version = %d", layout))
	return err
}

func (sqliteDialect) advice(err error) string {
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

func (sqliteDialect) explain(err error) error {
	if resultCode(err) == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

func (sqliteDialect) refuses(err error) bool {
	code := resultCode(err)
	return code == sqlite3.SQLITE_TOOBIG || code == sqlite3.SQLITE_CONSTRAINT || code == sqlite3.SQLITE_MISMATCH
}

// resultCode returns SQLite's own number for an error; 0: it is none of SQLite's.
func resultCode(err error) int {
	var of *sqlite.Error
	if !errors.As(err, &of) {
		return 0
	}
	return of.Code() & 0xff // the rest tells more than anybody here wants
}
