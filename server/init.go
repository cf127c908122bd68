package server

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// PutCode implements function.Host.
func (s *Server) PutCode(ctx context.Context, namespace string, digest function.Digest, code io.Reader) error {
	return s.code.Put(ctx, namespace, digest, code)
}

// Init implements function.Host.
func (s *Server) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if err := s.offer.admit(spec); err != nil {
		return function.ID{}, err
	}
	return s.init(ctx, spec, lease)
}

// init is Init for a function that was admitted.
func (s *Server) init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if lease.ID == "" {
		return function.ID{}, function.Errorf(function.CodeBadRequest, "the lease has no id")
	}
	id := spec.ID()
	unknown, err := s.owner.askInit(ctx, id, lease, nil)
	if unknown {
		var f *fn
		if f, err = s.newFunction(ctx, id, spec); err == nil {
			_, err = s.owner.askInit(ctx, id, lease, f)
		}
	}
	if err != nil {
		return function.ID{}, err
	}
	return id, nil
}

// newFunction takes hold of the function's code, when somebody sends it right now also.
// Nothing else happens before the owner takes the function.
func (s *Server) newFunction(ctx context.Context, id function.ID, spec function.Spec) (*fn, error) {
	if err := s.awaitCode(ctx, spec); err != nil {
		return nil, err
	}
	blob, err := s.code.Acquire(spec.Namespace, spec.Code)
	if err != nil {
		return nil, err
	}
	spec.Env = maps.Clone(spec.Env)
	spec.Require.Labels = slices.Clone(spec.Require.Labels)
	f := newFn(id, spec, blob, s.layout.functionDir(id, s.directories.Add(1)))
	if f.user, err = s.users.take(); err != nil {
		blob.Release()
		return nil, function.AsError(err)
	}
	return f, nil
}

// awaitCode waits for code that another client of the namespace is sending, until
// ctx ends or the server drains.
func (s *Server) awaitCode(ctx context.Context, spec function.Spec) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.owner.life, cancel)()
	err := s.code.Await(ctx, spec.Namespace, spec.Code)
	if err != nil && s.owner.life.Err() != nil {
		return errDraining()
	}
	return err
}

// askInit asks the owner for a function that is ready. With unknown, it
// must be offered one to begin with.
func (o *owner) askInit(ctx context.Context, id function.ID, lease function.Lease, offered *fn) (unknown bool, err error) {
	c := &initCall{id: id, lease: lease, offered: offered, reply: make(chan initReply, 1)}
	if !o.send(c) {
		return false, errDraining()
	}
	select {
	case r := <-c.reply:
		return r.unknown, r.orNil()
	case <-o.done:
		return false, errDraining()
	case <-ctx.Done():
	}
	o.send((*leave)(c))
	select {
	case r := <-c.reply: // perhaps it was ready at the same moment
		if r.err == nil && !r.unknown {
			return false, nil
		}
	case <-o.done:
	}
	return false, errStarting(ctx.Err())
}

// errStarting is for a caller of Init who left.
func errStarting(why error) *function.Error {
	e := function.Errorf(function.CodeOf(why), "the function was not ready in time; its start goes on, so init it again")
	e.RetryAfter = time.Second
	return e
}

// An initCall is one Init. As an event it asks for a function that is ready.
// Every one that was sent gets exactly one reply.
type initCall struct {
	id      function.ID
	lease   function.Lease
	offered *fn            // what to begin with when the function is not known; may be nil
	reply   chan initReply // has room for one
}

// An initReply ends an Init.
type initReply struct {
	err     *function.Error
	unknown bool // offer a function
}

func (r initReply) orNil() error {
	if r.err != nil {
		return r.err
	}
	return nil
}

func (c *initCall) apply(o *owner) {
	f := o.functions[c.id]
	if f == nil && c.offered != nil && !o.draining && len(o.functions) < maxFunctions {
		f, c.offered = c.offered, nil
		o.functions[c.id] = f
	}
	if c.offered != nil {
		o.tasks.Go(func() { o.forget(c.offered) })
	}
	switch {
	case o.draining:
		c.reply <- initReply{err: errDraining()}
	case f == nil && c.offered != nil:
		c.reply <- initReply{err: crowded("%d functions are here already, which is the limit", maxFunctions)}
	case f == nil:
		c.reply <- initReply{unknown: true}
	case !f.holds(c.lease) && len(f.leases)+len(f.inits) >= maxLeases:
		c.reply <- initReply{err: crowded("%d clients hold this function already, which is the limit", maxLeases)}
	case f.ready():
		f.grant(c.lease, o.now)
		c.reply <- initReply{}
		o.consider(f)
	default:
		f.inits = append(f.inits, c)
		o.consider(f)
	}
}

func crowded(format string, args ...any) *function.Error {
	e := function.Errorf(function.CodeBusy, format, args...)
	e.RetryAfter = 10 * time.Second
	return e
}

// leave says that a caller of Init waits no longer.
type leave initCall

func (e *leave) apply(o *owner) {
	f := o.functions[e.id]
	if f == nil {
		return
	}
	if i := slices.Index(f.inits, (*initCall)(e)); i >= 0 {
		f.inits = slices.Delete(f.inits, i, i+1)
		e.reply <- initReply{err: errUnknown()} // its caller knows better why
		o.consider(f)
	}
}
