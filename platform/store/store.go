package store

import (
	"context"
	"errors"
)

// What a store answers when it cannot.
var (
	ErrNotFound = errors.New("there is no such entry")
	// ErrConflict says that the entity is not at the revision that the caller
	// knows: somebody else wrote it meanwhile.
	ErrConflict = errors.New("the entry was changed by somebody else")
	// ErrDiskFull says that nothing can be written until somebody makes room.
	ErrDiskFull = errors.New("the disk is full")
	// ErrUnreachable says that the database's server does not answer. Whether a
	// write that was under way took place is not known.
	ErrUnreachable = errors.New("the database cannot be reached just now")
)

// A Collection is a kind of entity. Entities of all collections share their
// names, as they do in OpenWhisk.
type Collection string

// The collections.
const (
	Actions  Collection = "actions"
	Triggers Collection = "triggers"
	Rules    Collection = "rules"
	Packages Collection = "packages"
)

// A Key names an entity.
type Key struct {
	Namespace string
	Package   string // of an action; empty: the default package
	Name      string
}

// An Entity is a document with its name.
type Entity struct {
	Key
	Collection Collection
	Revision   int64  // 0: not stored yet
	Ref        string // what it refers to and is looked up by: a rule's trigger
	CodeID     int64  // an action's code; 0: none
	Doc        []byte
}

// A Listing chooses entities.
type Listing struct {
	Namespace  string
	Collection Collection
	Package    *string // nil: in any package
	Limit      int     // 0: all
	Skip       int
}

// An Activation is a record in parts, so that none needs to be parsed to answer
// for the others.
type Activation struct {
	ID        string
	Namespace string
	Path      string // "package/name" or "name"
	Start     int64  // milliseconds since 1970
	Status    int
	Head      []byte // the record without response and logs: a JSON object
	Response  []byte // JSON
	Logs      []byte // a JSON array
	Unkept    bool   // it is over, which the store must know, but nobody can read it
}

// A Filter chooses activations.
type Filter struct {
	Namespace string
	Path      string // "package/name" or "name", as the record says; empty: any
	Since     int64  // milliseconds since 1970, inclusive; 0: no bound
	Upto      int64  // the same
	Limit     int    // 0: all
	Skip      int
	Docs      bool // whole records; otherwise Response and Logs are left empty
}

// Store is what the platform needs of a database. All methods may be called at
// the same time.
type Store interface {
	Subjects
	Namespaces

	// Get returns an entity of any collection, or ErrNotFound.
	Get(ctx context.Context, key Key) (Entity, error)
	// Put writes e, which must be at e.Revision (0: must not be there), and
	// returns it with its new revision. code, when not nil, becomes its code;
	// otherwise e.CodeID stays. The error is ErrConflict otherwise.
	Put(ctx context.Context, e Entity, code *string) (Entity, error)
	// Delete removes e, which must be at e.Revision. Its code can be read for
	// some minutes more, by those who were promised a run.
	Delete(ctx context.Context, e Entity) error
	// List returns entities, the last changed first.
	List(ctx context.Context, l Listing) ([]Entity, error)
	// Count returns how many entities there are, all of l but Limit and Skip considered.
	Count(ctx context.Context, l Listing) (int, error)
	// Referring returns the entities of a namespace that refer to ref.
	Referring(ctx context.Context, namespace, ref string) ([]Entity, error)
	// Code returns code by its id, or ErrNotFound.
	Code(ctx context.Context, id int64) (string, error)

	// APIs returns a namespace's APIs, by their base paths.
	APIs(ctx context.Context, namespace string) ([]API, error)
	// PutAPI writes a, which must be at a.Revision (0: must not be there), and
	// returns it with its new revision. The error is ErrConflict otherwise.
	PutAPI(ctx context.Context, a API) (API, error)
	// DeleteAPI removes a, which must be at a.Revision.
	DeleteAPI(ctx context.Context, a API) error

	// PutActivation takes a record. It can be read at once and is on its way to
	// the disk. It waits while too much is on that way, unless the disk takes
	// nothing just now: then it is an error.
	PutActivation(ctx context.Context, a *Activation) error
	// KeepActivation is PutActivation that returns when the record is on the disk.
	KeepActivation(ctx context.Context, a *Activation) error
	// Activation returns a record, or ErrNotFound.
	Activation(ctx context.Context, namespace, id string) (*Activation, error)
	// Activations returns records, the youngest first.
	Activations(ctx context.Context, f Filter) ([]*Activation, error)
	// CountActivations returns how many there are, all of f but Limit and Skip considered.
	CountActivations(ctx context.Context, f Filter) (int, error)

	// PutAlarm writes a, in place of an earlier one of its trigger.
	PutAlarm(ctx context.Context, a Alarm) error
	// ChangeAlarm writes a in place of an earlier one of its trigger, or returns ErrNotFound.
	ChangeAlarm(ctx context.Context, a Alarm) error
	// HasAlarm reports whether a trigger has an alarm.
	HasAlarm(ctx context.Context, namespace, trigger string) (bool, error)
	// DeleteAlarm removes an alarm, if it is there.
	DeleteAlarm(ctx context.Context, namespace, trigger string) error
	// Alarms returns all alarms.
	Alarms(ctx context.Context) ([]Alarm, error)
	Journal

	// Close writes what is pending and ends the store.
	Close() error
}
