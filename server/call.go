package server

import (
	"container/list"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A call is one Run on its way to a worker. As an event it asks for one. Every
// call that was sent gets exactly one reply, also when it gives up.
type call struct {
	id    function.ID
	claim function.Claim
	since time.Time     // when it came
	limit time.Duration // its time limit, counted from since; 0: none
	reply chan reply    // has room for one

	// These are the owner's until it replies.
	place  *list.Element // in its function's queue
	fn     *fn
	waited bool

	// What became of the run, for ended and handedBack.
	slot  *slot
	took  time.Duration
	ran   bool   // else the run never started
	dead  bool   // the worker takes no more runs
	crash string // why the run crashed, in words; empty: it did not
}

// A reply gives a call its worker, or an error. With an error nothing has started.
type reply struct {
	slot *slot
	cold bool // it had to wait for the worker's start
	err  *function.Error
}

func (c *call) apply(o *owner) {
	f := o.functions[c.id]
	switch {
	case o.draining:
		c.reply <- reply{err: errDraining()}
		return
	case f == nil || !f.leased(c.claim, o.now):
		c.reply <- reply{err: errUnknown()}
		return
	}
	if f.queue.Len() == 0 {
		if s := o.pick(f); s != nil {
			o.grant(c, s)
			return
		}
	}
	if why := o.refusal(f, c); why != nil {
		c.reply <- reply{err: why}
		return
	}
	o.enqueue(f, c)
}

// enqueue lets the call wait. One that was on its way already, to a worker that
// had ended, has waited the longest.
func (o *owner) enqueue(f *fn, c *call) {
	c.fn = f
	if c.waited || c.dead {
		c.place = f.queue.PushFront(c)
	} else {
		c.place = f.queue.PushBack(c)
	}
	c.waited = true
	o.waiting[f.spec.Namespace]++
	if f.queue.Len() == 1 {
		f.crowded = o.now
		o.consider(f)
	}
}

// giveUp says that the call's caller waits no longer.
type giveUp call

func (e *giveUp) apply(o *owner) {
	c := (*call)(e)
	if c.place == nil {
		return // it has its reply already
	}
	f := c.fn
	o.dequeue(c)
	why := errUnknown() // its caller knows better why
	if _, waits := o.roomless[f]; waits && len(f.slots) == 0 {
		why = o.noRoom(f)
	}
	c.reply <- reply{err: why}
	if f.queue.Len() == 0 {
		o.consider(f) // it may have been the last that held the function
	}
}

// dequeue takes a call out of its function's queue.
func (o *owner) dequeue(c *call) *call {
	c.fn.queue.Remove(c.place)
	c.place = nil
	ns := c.fn.spec.Namespace
	if o.waiting[ns]--; o.waiting[ns] == 0 {
		delete(o.waiting, ns)
	}
	return c
}

// ended says that the call gives its worker back.
type ended call

func (e *ended) apply(o *owner) {
	s, f := e.slot, e.slot.fn
	o.giveBack(s)
	if e.ran {
		f.runs++
		f.took(e.took)
		switch {
		case e.crash != "":
			o.crashed(s, e.crash)
		case !e.dead:
			f.failures, f.crashes, f.retryAt = 0, 0, time.Time{}
		}
	}
	if f.removed {
		return
	}
	switch {
	case e.dead && s.running > 0 && s.process.Retiring(): // its other runs may end
		o.yield(s)
	case e.dead:
		o.lose(s)
	case !s.gone && o.mustYield(s):
		o.makeWay(s)
	case s.yielding && s.running == 0 && !s.gone:
		o.retire(s)
	}
	if f.queue.Len() > 0 {
		o.give(f)
	}
	if len(o.roomless) > 0 && s.running == 0 && !s.gone {
		o.schedule(f, o.now.Add(minIdle)) // then others may have its room
	}
	if e.dead || f.running == 0 && len(f.leases) == 0 {
		o.consider(f)
		return
	}
	o.schedule(f, o.now.Add(o.idleTTL)) // nearly always there is an earlier one already
}

// errUnknown says the same to who asks for something foreign and to who asks
// for something unknown: it must not tell what is here.
func errUnknown() *function.Error {
	return function.Errorf(function.CodeUnknownFunction, "the function is not known here, or the lease on it is over; init it again")
}

func errDraining() *function.Error {
	return function.Errorf(function.CodeDraining, "this server is about to end, and takes nothing new")
}
