package store

import (
	"context"
	"fmt"
)

// A migration brings a database one layout further, in the words of each. Texts
// are compared byte by byte; what may hold any byte, JSON too, is BLOB or BYTEA.
type migration struct {
	sqlite, postgres string
}

// migrations bring a database from layout i to i+1. An entry that was released
// is never changed: a new one is added at the end.
var migrations = []migration{
	{
		sqlite: `
CREATE TABLE subjects (
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
		postgres: `
CREATE TABLE subjects (
	uuid TEXT PRIMARY KEY, name TEXT NOT NULL, namespace TEXT NOT NULL, key_hash BYTEA NOT NULL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters VALUES ('revision', 0);
CREATE TABLE entities (
	namespace TEXT NOT NULL, package TEXT NOT NULL, name TEXT NOT NULL,
	collection TEXT NOT NULL, revision BIGINT NOT NULL, ref TEXT NOT NULL,
	code_id BIGINT NOT NULL, doc BYTEA NOT NULL,
	PRIMARY KEY (namespace, package, name)
);
CREATE INDEX entities_by_collection ON entities (namespace, collection, revision DESC);
CREATE INDEX entities_by_ref ON entities (namespace, ref) WHERE ref <> '';`,
	},
	// Code is bytes. Activations have a number, seq, that orders those of the same
	// millisecond, and are found by the action's package and name.
	{
		sqlite: `
CREATE TABLE code2 (
	id INTEGER PRIMARY KEY AUTOINCREMENT, released INTEGER, code BLOB NOT NULL
) STRICT;
INSERT INTO code2 (id, released, code) SELECT id, released, CAST(code AS BLOB) FROM code;
DELETE FROM sqlite_sequence WHERE name = 'code2';
INSERT INTO sqlite_sequence (name, seq) SELECT 'code2', seq FROM sqlite_sequence WHERE name = 'code';
DROP TABLE code;
ALTER TABLE code2 RENAME TO code;
CREATE INDEX code_by_release ON code (released) WHERE released IS NOT NULL;
CREATE TABLE activations2 (
	seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
	package TEXT NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL, status INTEGER NOT NULL,
	head BLOB NOT NULL, response BLOB NOT NULL, logs BLOB NOT NULL
) STRICT;
INSERT INTO activations2 (id, namespace, package, name, start, status, head, response, logs)
	SELECT id, namespace, substr(path, 1, max(instr(path, '/') - 1, 0)), substr(path, instr(path, '/') + 1),
	start, status, head, response, logs
	FROM activations ORDER BY rowid;
DROP TABLE activations;
ALTER TABLE activations2 RENAME TO activations;
-- seq, the rowid, ends every index.
CREATE INDEX activations_by_start ON activations (namespace, start);
CREATE INDEX activations_by_name ON activations (namespace, package, name, start);`,
		postgres: `
CREATE TABLE code (
	id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, released BIGINT, code BYTEA NOT NULL
);
CREATE INDEX code_by_release ON code (released) WHERE released IS NOT NULL;
CREATE TABLE activations (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
	package TEXT NOT NULL, name TEXT NOT NULL, start BIGINT NOT NULL, status BIGINT NOT NULL,
	head BYTEA NOT NULL, response BYTEA NOT NULL, logs BYTEA NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02); -- so that nearly all is found in the indexes alone
CREATE INDEX activations_by_start ON activations (namespace, start, seq);
CREATE INDEX activations_by_name ON activations (namespace, package, name, start, seq);`,
	},
	// What was accepted and has no record yet. A place is never used twice.
	{
		sqlite: `
CREATE TABLE journal (
	place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
	code_id INTEGER NOT NULL, sent INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;`,
		postgres: `
CREATE TABLE journal (
	place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
	code_id BIGINT NOT NULL, sent BIGINT NOT NULL, body BYTEA NOT NULL
);`,
	},
	// The routes that namespaces offer.
	{
		sqlite: `
CREATE TABLE apis (
	namespace TEXT NOT NULL, base_path TEXT NOT NULL, revision INTEGER NOT NULL, doc BLOB NOT NULL,
	PRIMARY KEY (namespace, base_path)
) STRICT;`,
		postgres: `
CREATE TABLE apis (
	namespace TEXT NOT NULL, base_path TEXT NOT NULL, revision BIGINT NOT NULL, doc BYTEA NOT NULL,
	PRIMARY KEY (namespace, base_path)
);`,
	},
}

func (s *Database) migrate(ctx context.Context) error {
	return s.inTx(ctx, func(tx queryer) error {
		layout, err := s.dialect.layout(ctx, tx)
		if err != nil {
			return fmt.Errorf("reading its layout: %w", err)
		}
		if layout > len(migrations) {
			return fmt.Errorf("it was written by a newer Whiskaway (layout %d, this one knows %d); use that one", layout, len(migrations))
		}
		if layout == len(migrations) {
			return nil
		}
		for i, m := range migrations[layout:] {
			if _, err := tx.exec(ctx, s.dialect.script(m)); err != nil {
				return fmt.Errorf("bringing it to layout %d: %w", layout+i+1, err)
			}
		}
		return s.dialect.setLayout(ctx, tx, len(migrations))
	})
}
