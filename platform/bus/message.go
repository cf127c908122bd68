package bus

import (
	"encoding/json"
	"strings"
)

// A Run asks an invoker to run an action once. It says all that an invoker
// needs but the code, which it fetches by CodeID when it starts a container.
type Run struct {
	ActivationID string
	Transaction  string
	Namespace    string // the invoking namespace
	Subject      string
	APIKey       string `json:"-"` // "uuid:key"; empty: the action is not given one
	Action       Action
	Args         json.RawMessage // an object or an array, as it goes to the action
	Accepted     int64           // when the controller accepted it, in microseconds since 1970
	ReplyTo      string          // whose Completed topic waits for it; empty: nobody's
	Cause        string          // the activation that caused this one, if any
	Reader       Reader          `json:"-"` // who reads the result's items as they come; nil: nobody
	CausedBy     string          // "sequence": it is a part of a sequence or of a conductor's composition
	Journaled    bool            // it is in the journal: an invoker claims it there before it sends it
	Requeued     int64           // when a restart queued it again, in microseconds since 1970; 0: never
	Sending      *Sending        `json:"-"` // of a caller who waits; nil: of none, or of one in another process
}

// Message returns the run as it travels. What it counts is its arguments and about what
// the rest needs.
func (r *Run) Message() Message[*Run] {
	return Message[*Run]{Key: r.Action.FullName(), Size: len(r.Args) + 1024, Body: r}
}

// An Action is what an invoker must know of an action. It does not change:
// another revision is another Action.
type Action struct {
	Namespace string // the action's own namespace
	Package   string // empty: the default package
	Name      string
	Version   string
	Revision  int64 // never the same for two contents, also after a deletion
	CodeID    int64
	Kind      string
	Main      string
	Binary    bool
	Env       map[string]string // the init parameters
	Limits    Limits
	Binding   string // "namespace/package" of the binding that it was asked for through; empty: none
	Variant   string // differs where Env does: a package's init parameters may change under the same revision
}

// Limits are an action's limits, in OpenWhisk's units and names.
type Limits struct {
	Timeout     int `json:"timeout"`     // milliseconds
	Memory      int `json:"memory"`      // megabytes
	Logs        int `json:"logs"`        // megabytes
	Concurrency int `json:"concurrency"` // runs at a time in one container
}

// Path returns "package/name", or "name" in the default package.
func (a *Action) Path() string {
	if a.Package == "" {
		return a.Name
	}
	return a.Package + "/" + a.Name
}

// ListPath is Path as lists of activations know it: with the name of the binding that
// the action was asked for through, if there is one.
func (a *Action) ListPath() string {
	if _, pkg, bound := strings.Cut(a.Binding, "/"); bound {
		return pkg + "/" + a.Name
	}
	return a.Path()
}

// FullName returns "/namespace/package/name".
func (a *Action) FullName() string { return "/" + a.Namespace + "/" + a.Path() }

// A Completed tells a controller that an activation ended. The parts are those of
// its record.
type Completed struct {
	ActivationID string
	Status       int
	Head         []byte // the record without response and logs: a JSON object
	Response     []byte // {"status", "success", "result"}
	Result       []byte // the result alone
	Logs         []byte // a JSON array
	Duration     int64  // of the run, in milliseconds
}
