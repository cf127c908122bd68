package function

import (
	"context"
	"io"
	"time"
)

// A Host can be made ready to run functions, and run them.
//
// All methods may be called at the same time from several goroutines. Every
// error they return is, or wraps, an *Error, so that its Code survives the wire.
type Host interface {
	// PutCode stores the bytes of code so that a following Init by the same
	// namespace finds it. The bytes are read once and checked against digest;
	// on a mismatch nothing is kept and the error's code is CodeBadRequest.
	// The code counts as present for that namespace only.
	PutCode(ctx context.Context, namespace string, digest Digest, code io.Reader) error

	// Init makes the host ready to run the function that spec describes, and
	// grants lease on it. It returns when the first worker is up, or with
	// CodeCodeMissing when PutCode must come first (while one caller is to send
	// the code, others of its namespace may be kept waiting for it), or with CodeInitFailed
	// when the function itself could not be started (Error.Logs then holds what it
	// printed). When ctx ends first, the start goes on: a later Init finds it.
	// Calling Init again with the same spec is cheap, and renews the lease.
	//
	// The caller must have checked that it may act for spec.Namespace.
	Init(ctx context.Context, spec Spec, lease Lease) (ID, error)

	// Run runs the function once. A non-nil error means that the run
	// certainly never started, so it may be tried elsewhere; whatever else
	// happened, also a crash, a time limit or a lost connection, is told by
	// the Summary, and then the run must not be repeated.
	//
	// When ctx ends, the run is cancelled. All calls of out are made by Run
	// before it returns, never two at a time.
	Run(ctx context.Context, id ID, claim Claim, act *Activation, out Output) (Summary, error)

	// Renew prolongs the lease, which must be live.
	Renew(ctx context.Context, id ID, claim Claim, ttl time.Duration) error

	// Stop ends the lease. The function stays for the other leases. Stopping an
	// unknown lease or function is not an error: it is what was wanted.
	Stop(ctx context.Context, id ID, claim Claim) error

	// Watch calls report with the host's status at once, then after every
	// change (several changes may be told as one) and at least every
	// StatusInterval, until ctx ends or report returns an error, which it
	// returns. Calls of report never overlap.
	Watch(ctx context.Context, report func(Status) error) error
}

// StatusInterval is the longest silence of Watch. A watcher that hears nothing
// for several of these may take the host for dead.
const StatusInterval = 2 * time.Second

// A Claim is what a caller shows to be let in to a function.
type Claim struct {
	// Lease is the id of a live lease on the function.
	Lease string
	// Namespace is the only one that the caller may act for, by its token;
	// empty means that it may act for any.
	Namespace string
}

// Covers reports whether the claim's token is good for namespace.
func (c Claim) Covers(namespace string) bool {
	return c.Namespace == "" || c.Namespace == namespace
}

// A Lease is a client's claim on a function for a while.
type Lease struct {
	ID  string        // random, at least 128 bits; see NewLeaseID
	TTL time.Duration // how long it lives without being renewed
}

// DefaultLeaseTTL is how long a lease lives that names no time itself. Clients
// renew after a third of it.
const DefaultLeaseTTL = 60 * time.Second

// An Activation is one run of a function, as the platform asked for it.
type Activation struct {
	// Body is the platform's /run body, untouched.
	Body Body
	// Timeout is the time left for the run, waiting included; 0 means no limit.
	Timeout time.Duration
	// Trace is a W3C traceparent header, or empty.
	Trace string
}

// An Output receives what a run gives back, as it comes. p is valid only during
// the call. An error means that nobody listens any more; the run is then
// cancelled.
type Output interface {
	Write(s Stream, p []byte) error
}

// OutputFunc is a func that is an Output.
type OutputFunc func(s Stream, p []byte) error

// Write calls f.
func (f OutputFunc) Write(s Stream, p []byte) error { return f(s, p) }

// InitWithCode calls Init, and hands over the code when the host asks for it.
// open is called at most once, and only then.
func InitWithCode(ctx context.Context, h Host, spec Spec, lease Lease, open func() (io.ReadCloser, error)) (ID, error) {
	id, err := h.Init(ctx, spec, lease)
	if CodeOf(err) != CodeCodeMissing {
		return id, err
	}
	if err := putCode(ctx, h, spec, open); err != nil {
		return ID{}, err
	}
	return h.Init(ctx, spec, lease)
}

func putCode(ctx context.Context, h Host, spec Spec, open func() (io.ReadCloser, error)) error {
	code, err := open()
	if err != nil {
		return Errorf(CodeInternal, "reading the function's code: %v", err)
	}
	defer code.Close()
	return h.PutCode(ctx, spec.Namespace, spec.Code, code)
}
