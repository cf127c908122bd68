// Package store keeps what the platform must remember: the subjects and the
// hashes of their keys, the entities (actions, triggers, rules, packages), the
// actions' code, and the activation records.
//
// Store is the interface, SQLite its implementation in one file; PostgreSQL can
// be another. An entity's document is bytes to a store: what it means is package
// controller's business.
//
// What must hold here: no key is kept in clear; a revision is never used twice,
// also not after a deletion; an activation that was handed over can be read at
// once, though it is written with others in one transaction a moment later.
package store
