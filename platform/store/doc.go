// Package store keeps what the platform must remember: the subjects and the
// hashes of their keys, the entities (actions, triggers, rules, packages), the
// actions' code, the API routes, the activation records, and the journal of activations
// that were accepted and have no record yet.
//
// Store is the interface, Database its implementation in SQL: in one file with
// SQLite, or on a PostgreSQL server. An entity's document is bytes to a store:
// what it means is package controller's business.
//
// Every statement is written once, for both, in the words that they share: ? for
// parameters, ON CONFLICT, RETURNING, LIMIT. What they differ in is in the
// dialects, and in the migrations, which have a text for each.
//
// To add a table: append a migration to the list; write the methods in a file of
// their own, with s.reader() for what only reads and s.inTx for what writes; add
// them to Store; test them by onEach, which runs a test on both. Text holds what
// was checked to be a name; all else, JSON too, is BLOB and BYTEA, given and read
// as []byte: PostgreSQL takes no NUL byte in a text. Numbers are INTEGER and
// BIGINT, times milliseconds since 1970, and truth is 0 or 1. A writer must hold
// where others write beside it: with PostgreSQL a row that was read can have
// changed when it is written, so say in the statement what it must still be
// (UPDATE … WHERE revision = ?) and look how many rows it met.
//
// What must hold here: no key is kept in clear; what is in the journal leaves it
// only with its record, in one transaction, and is claimed once at most; a revision is never used twice,
// also not after a deletion; an activation that was handed over can be read at
// once, though it is written with others in one transaction a moment later.
package store
