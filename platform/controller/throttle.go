package controller

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Unlimited is the count that is no limit.
const Unlimited = store.Unlimited

// throttles count what namespaces do.
type throttles struct {
	invocations, fires minute
	flights            flights
}

// A minute counts, by namespace, what happened in the current minute of the clock. That is OpenWhisk's way:
// what was refused counts too, and a new minute begins with nothing.
type minute struct {
	mu     sync.Mutex
	number int64 // minutes since 1970
	counts map[string]int
}

// count adds one at now, and returns how many that makes in this minute.
func (m *minute) count(namespace string, now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number := now.Unix() / 60; number != m.number || m.counts == nil {
		m.number, m.counts = number, map[string]int{} // so it never holds more than one minute's namespaces
	}
	m.counts[namespace]++
	return m.counts[namespace]
}

// flights are the activations of limited namespaces that run, or wait to.
type flights struct {
	mu         sync.Mutex
	namespaces map[string]string // by activation id
	of         map[string]*fleet // by namespace; only those that have any
}

// A fleet are the activations of one namespace, and when each is given up.
type fleet struct {
	until map[string]time.Time // by activation id
	swept time.Time
}

// overdue is how long after its time limits an activation of which no end was heard is taken for lost. It is
// longer than one may wait for its container.
const overdue = 5 * time.Minute

// room returns how many there are, and whether that is less than allowed.
func (f *flights) room(namespace string, allowed int, now time.Time) (count int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roomLocked(namespace, allowed, now)
}

func (f *flights) roomLocked(namespace string, allowed int, now time.Time) (count int, ok bool) {
	of := f.of[namespace]
	if of == nil {
		return 0, allowed != 0
	}
	if allowed != Unlimited && len(of.until) >= allowed {
		f.sweep(of, now)
	}
	return len(of.until), allowed == Unlimited || len(of.until) < allowed
}

// begin adds an activation unless there are allowed already. It returns how many there were. One that is there
// already is let through.
func (f *flights) begin(id, namespace string, allowed int, now, until time.Time) (count int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	count, ok = f.roomLocked(namespace, allowed, now)
	if _, known := f.namespaces[id]; known {
		return count, true
	}
	if !ok {
		return count, false
	}
	if f.of == nil {
		f.namespaces, f.of = map[string]string{}, map[string]*fleet{}
	}
	if f.of[namespace] == nil {
		f.of[namespace] = &fleet{until: map[string]time.Time{}}
	}
	f.namespaces[id], f.of[namespace].until[id] = namespace, until
	return count, true
}

// end removes an activation, if it is there.
func (f *flights) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLocked(id)
}

func (f *flights) endLocked(id string) {
	namespace, ok := f.namespaces[id]
	if !ok {
		return
	}
	delete(f.namespaces, id)
	of := f.of[namespace]
	if delete(of.until, id); len(of.until) == 0 {
		delete(f.of, namespace)
	}
}

// sweep gives up what is overdue: nobody will hear of its end. It looks at most once a second.
func (f *flights) sweep(of *fleet, now time.Time) {
	if now.Sub(of.swept) < time.Second {
		return
	}
	of.swept = now
	for id, until := range of.until {
		if now.After(until) {
			f.endLocked(id)
		}
	}
}

// throttle counts an invocation by a namespace. The error is a 429 when there were too many in this minute, or
// when too many are under way.
func (c *Controller) throttle(ctx context.Context, namespace string) error {
	a, err := c.Allowance(ctx, namespace)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := tooMany(&c.throttles.invocations, namespace, a.PerMinute, now); err != nil {
		return err
	}
	if a.Concurrent == Unlimited {
		return nil
	}
	if n, ok := c.throttles.flights.room(namespace, a.Concurrent, now); !ok {
		return tooManyConcurrent(n, a.Concurrent)
	}
	return nil
}

// throttleFiring counts a firing of a trigger by a namespace, and returns what that may have. The error is a 429 when
// there were too many in this minute.
func (c *Controller) throttleFiring(ctx context.Context, namespace string) (Allowance, error) {
	a, err := c.Allowance(ctx, namespace)
	if err != nil {
		return a, err
	}
	return a, tooMany(&c.throttles.fires, namespace, a.FiresPerMinute, time.Now())
}

func tooMany(in *minute, namespace string, allowed int, now time.Time) error {
	if allowed == Unlimited {
		return nil
	}
	if n := in.count(namespace, now); n > allowed {
		return Refuse(http.StatusTooManyRequests, "Too many requests in the last minute (count: %d, allowed: %d).", n, allowed)
	}
	return nil
}

func tooManyConcurrent(n, allowed int) error {
	return Refuse(http.StatusTooManyRequests, "Too many concurrent requests in flight (count: %d, allowed: %d).", n, allowed)
}

// takeOff counts run among those under way of its namespace, where these are limited, and has its end told to
// us. It says whether its record is kept. An action of a kind that the namespace may not have is refused. A part of a composition always takes off, and counts, as in OpenWhisk.
func (c *Controller) takeOff(ctx context.Context, run *bus.Run) error {
	a, err := c.Allowance(ctx, run.Namespace)
	if err != nil {
		return err
	}
	if err := a.checkKind(run.Action.Kind); err != nil {
		return err
	}
	run.Unkept = !a.StoreActivations
	if a.Concurrent == Unlimited {
		return nil
	}
	allowed := a.Concurrent
	if run.CausedBy != "" {
		allowed = Unlimited
	}
	now := time.Now()
	until := now.Add(overdue + 2*time.Duration(run.Action.Limits.Timeout)*time.Millisecond) // for /init and for /run
	n, ok := c.throttles.flights.begin(run.ActivationID, run.Namespace, allowed, now, until)
	if !ok {
		return tooManyConcurrent(n, a.Concurrent)
	}
	run.ReplyTo = c.cfg.Name
	return nil
}
