package server

import (
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// namespaceShare is how many functions' queues one namespace may fill.
const namespaceShare = 4

// knownAfter is from how many runs on it is known what a run usually takes: the first ones
// load things, and take longer.
const knownAfter = 4

// An outlook is what can be foreseen for a run that must wait.
type outlook struct {
	Ahead   int           // runs that wait already
	Slots   int           // runs that all workers take at once
	Usual   time.Duration // what a run usually takes; 0: not known
	Fastest time.Duration // what a run takes at least
	Full    bool          // no further worker will be started
	Start   time.Duration // without any worker: what is left of the start under way, at least
}

// wait is for how long the run will wait at least, as far as is known.
func (v outlook) wait() time.Duration {
	if v.Slots == 0 {
		return max(v.Start, 0)
	}
	if !v.Full {
		return 0
	}
	return time.Duration(v.Ahead/v.Slots) * v.Usual
}

// late reports whether the run cannot end within its limit even so.
func (v outlook) late(limit time.Duration) bool {
	wait := v.wait()
	return limit > 0 && wait > 0 && wait+v.Fastest > limit
}

// refusal says why a run must not wait here, or nil.
func (o *owner) refusal(f *fn, c *call) *function.Error {
	v := f.outlook(o)
	switch {
	case f.queue.Len() >= o.queue:
		return v.busy("%d runs wait for this function already, which is the limit; try again later", o.queue)
	case o.waiting[f.spec.Namespace] >= namespaceShare*o.queue:
		return v.busy("%d runs wait for the functions of this namespace already, which is the limit; try again later", namespaceShare*o.queue)
	case v.late(c.limit - o.now.Sub(c.since)):
		return v.busy("the run would wait for about %v and could not end within its time limit of %v, so it was not started; try again later",
			v.wait().Round(time.Millisecond), c.limit)
	}
	return nil
}

func (f *fn) outlook(o *owner) outlook {
	v := outlook{Ahead: f.queue.Len(), Fastest: f.runTime, Full: len(f.slots)+f.starting >= f.max(o)}
	if f.runs >= knownAfter {
		v.Usual = f.usualTime
	}
	if len(f.slots) > 0 { // then those that start will help soon
		v.Slots = (len(f.slots) + f.starting) * f.perSlot
	}
	if _, waits := o.roomless[f]; waits {
		v.Full = true
	}
	if f.starting > 0 {
		v.Start = f.fastestStart - o.now.Sub(f.startBegan)
	}
	return v
}

// busy is a refusal that says when to come again.
func (v outlook) busy(format string, args ...any) *function.Error {
	e := function.Errorf(function.CodeBusy, format, args...)
	e.RetryAfter = min(max(v.wait(), 100*time.Millisecond), 30*time.Second)
	return e
}
