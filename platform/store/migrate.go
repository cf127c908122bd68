package store

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations bring a database from version i to i+1. An entry that was released
// is never changed: a new one is added.
var migrations = []string{
	`CREATE TABLE subjects (
		uuid TEXT PRIMARY KEY, name TEXT NOT NULL, namespace TEXT NOT NULL, key_hash BLOB NOT NULL
	) STRICT;
	CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
	INSERT INTO counters VALUES ('revision', 0);
	CREATE TABLE entities (
		namespace TEXT NOT NULL, package TEXT NOT NULL, name TEXT NOT NULL,
		collection TEXT NOT NULL, revision INTEGER NOT NULL, ref TEXT NOT NULL,
		code_id INTEGER NOT NULL, doc BLOB NOT NULL,
		PRIMARY KEY (namespace, package, name)
	) STRICT;
	CREATE INDEX entities_by_collection ON entities (namespace, collection, revision DESC);
	CREATE INDEX entities_by_ref ON entities (namespace, ref) WHERE ref <> '';
	CREATE TABLE code (
		id INTEGER PRIMARY KEY AUTOINCREMENT, released INTEGER, code TEXT NOT NULL
	) STRICT;
	CREATE INDEX code_by_release ON code (released) WHERE released IS NOT NULL;
	CREATE TABLE activations (
		id TEXT PRIMARY KEY, namespace TEXT NOT NULL, path TEXT NOT NULL,
		start INTEGER NOT NULL, status INTEGER NOT NULL, head BLOB NOT NULL,
		response BLOB NOT NULL, logs BLOB NOT NULL
	) STRICT;
	CREATE INDEX activations_by_start ON activations (namespace, start DESC);
	CREATE INDEX activations_by_path ON activations (namespace, path, start DESC);`,
	`CREATE TABLE journal (
		place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
		code_id INTEGER NOT NULL, sent INTEGER NOT NULL, body BLOB NOT NULL
	) STRICT;`,
}

func (s *SQLite) migrate(ctx context.Context) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return fmt.Errorf("reading its version (is it a Whiskaway database?): %w", err)
		}
		if version > len(migrations) {
			return fmt.Errorf("it was written by a newer Whiskaway (layout %d, this one knows %d); use that one", version, len(migrations))
		}
		for v := version; v < len(migrations); v++ {
			if _, err := tx.ExecContext(ctx, migrations[v]); err != nil {
				return fmt.Errorf("bringing it to layout %d: %w", v+1, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)))
		return err
	})
}
