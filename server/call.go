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
	since time.Time  // when it came
	reply chan reply // has room for one

	// These are the owner's until it replies.
	place  *list.Element // in its function's queue
	fn     *fn
	waited bool

	// What became of the run, for ended and handedBack.
	slot *slot
	took time.Duration
	ran  bool // else the run never started
	dead bool // the worker takes no more runs
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
	if f.queue.Len() >= o.queue {
		c.reply <- reply{err: f.full(o.queue)}
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
	if f.queue.Len() == 1 {
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
	c.fn.queue.Remove(c.place)
	c.place = nil
	c.reply <- reply{err: errUnknown()} // its caller knows better why
}

// ended says that the call gives its worker back.
type ended call

func (e *ended) apply(o *owner) {
	s, f := e.slot, e.slot.fn
	o.giveBack(s)
	if e.ran {
		f.runs++
		f.took(e.took)
		if !e.dead {
			f.failures, f.retryAt = 0, time.Time{}
		}
	}
	if f.removed {
		return
	}
	if e.dead {
		o.lose(s)
	}
	if f.queue.Len() > 0 {
		o.give(f)
	}
	if e.dead || f.running == 0 && len(f.leases) == 0 {
		o.consider(f)
		return
	}
	o.schedule(f, o.now.Add(o.idleTTL)) // nearly always there is an earlier one already
}

// full is what a run is told that finds no room to wait.
func (f *fn) full(limit int) *function.Error {
	e := function.Errorf(function.CodeBusy, "%d runs wait for this function already, which is the limit; try again later", limit)
	slots := max(1, len(f.slots)*f.perSlot)
	e.RetryAfter = min(max(time.Duration(limit/slots)*f.runTime, 100*time.Millisecond), 30*time.Second)
	return e
}

// errUnknown says the same to who asks for something foreign and to who asks
// for something unknown: it must not tell what is here.
func errUnknown() *function.Error {
	return function.Errorf(function.CodeUnknownFunction, "the function is not known here, or the lease on it is over; init it again")
}

func errDraining() *function.Error {
	return function.Errorf(function.CodeDraining, "this server is about to end, and takes nothing new")
}
