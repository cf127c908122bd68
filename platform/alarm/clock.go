package alarm

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Store keeps the alarms.
type Store interface {
	// PutAlarm writes a, in place of an earlier one of its trigger.
	PutAlarm(ctx context.Context, a store.Alarm) error
	// ChangeAlarm writes a in place of an earlier one of its trigger, or returns store.ErrNotFound.
	ChangeAlarm(ctx context.Context, a store.Alarm) error
	// HasAlarm reports whether a trigger has an alarm.
	HasAlarm(ctx context.Context, namespace, trigger string) (bool, error)
	// DeleteAlarm removes an alarm, if it is there.
	DeleteAlarm(ctx context.Context, namespace, trigger string) error
	// Alarms returns all alarms.
	Alarms(ctx context.Context) ([]store.Alarm, error)
}

// Triggers is what the clock needs of the controller.
type Triggers interface {
	// MayAct refuses a subject who is blocked, or has no key for the namespace any more.
	MayAct(ctx context.Context, subject, namespace string) error
	Fire(ctx context.Context, f controller.Firing) (id string, err error)
	Trigger(ctx context.Context, name controller.Name) (*controller.Trigger, error)
	DeleteTrigger(ctx context.Context, name controller.Name) (*controller.Trigger, error)
	DeleteRule(ctx context.Context, name controller.Name) (*controller.Rule, error)
}

const (
	// lookAgain is the longest wait without a look at the time: machines sleep, and
	// clocks are set.
	lookAgain = 10 * time.Second
	// firingsAtOnce bounds how many triggers are fired at the same time.
	firingsAtOnce = 16
	// fireWithin bounds one firing, with its tries: a limit that counts by the minute has room again within it.
	fireWithin = 90 * time.Second
	// fireAgain is the pause after a firing that was refused for want of room.
	fireAgain = time.Second
	// What the alarms of one namespace may be.
	maxAlarms   = 10_000
	maxPayloads = 16 << 20 // bytes, of all of them together
)

// A key names an alarm.
type key struct{ namespace, trigger string }

// An entry is an alarm in the clock. place is its index in the heap, -1: it is not due any more.
type entry struct {
	alarm *Alarm
	due   time.Time
	place int
}

// A holding is what a namespace has.
type holding struct {
	alarms   int
	payloads int // bytes
}

// A Clock fires the alarms. mu guards the fields below it; what changes an alarm holds it
// also while it writes to the store, so that the two never disagree but for what other processes remove
// from the store: that is found out before it is of any consequence.
type Clock struct {
	log      *slog.Logger
	store    Store
	triggers Triggers
	wake     chan struct{} // cap 1: look at the time
	room     chan struct{} // one for each firing, but while it waits to be tried again
	stop     context.CancelFunc
	task     sync.WaitGroup

	mu      sync.Mutex
	entries map[key]*entry
	queue   queue
	held    map[string]holding // by namespace
	waiting map[key]bool       // a firing waits to be tried again
}

// Start reads the alarms and begins to fire them.
func Start(ctx context.Context, st Store, triggers Triggers, log *slog.Logger) (*Clock, error) {
	c := &Clock{
		log: log, store: st, triggers: triggers, wake: make(chan struct{}, 1), room: make(chan struct{}, firingsAtOnce),
		entries: map[key]*entry{}, held: map[string]holding{}, waiting: map[key]bool{},
	}
	if err := c.load(ctx, time.Now()); err != nil {
		return nil, fmt.Errorf("reading the alarms: %w", err)
	}
	runCtx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.task.Go(func() { c.run(runCtx) })
	return c, nil
}

// Close fires nothing more, and waits for the firings that have begun.
func (c *Clock) Close() {
	c.stop()
	c.task.Wait()
}

func (c *Clock) load(ctx context.Context, now time.Time) error {
	rows, err := c.store.Alarms(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, row := range rows {
		a, err := decode(row)
		if err != nil {
			c.log.Error("an alarm cannot be read and is left out", "error", err)
			continue
		}
		c.place(a, now)
	}
	return nil
}

// place puts an alarm in the queue, in place of the one with its name. The caller holds mu.
func (c *Clock) place(a *Alarm, now time.Time) {
	c.forget(key{a.Namespace, a.Trigger})
	e := &entry{alarm: a, place: -1}
	c.entries[key{a.Namespace, a.Trigger}] = e
	c.held[a.Namespace] = c.held[a.Namespace].plus(1, a)
	if !a.Status.Active {
		return
	}
	due, err := a.next(now)
	if err != nil {
		c.log.Error("an alarm makes no sense and does not fire", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
		return
	}
	if !due.IsZero() {
		e.due = due
		heap.Push(&c.queue, e)
	}
}

// forget takes an alarm out of the clock. The caller holds mu.
func (c *Clock) forget(k key) {
	e := c.entries[k]
	if e == nil {
		return
	}
	delete(c.entries, k)
	if c.held[k.namespace] = c.held[k.namespace].plus(-1, e.alarm); c.held[k.namespace].alarms == 0 {
		delete(c.held, k.namespace)
	}
	if e.place >= 0 {
		heap.Remove(&c.queue, e.place)
	}
}

// plus returns h with n more alarms such as a.
func (h holding) plus(n int, a *Alarm) holding {
	return holding{h.alarms + n, h.payloads + n*len(a.Payload)}
}

// check refuses an alarm for which its namespace has no room. The caller holds mu.
func (c *Clock) check(a *Alarm) error {
	all := c.held[a.Namespace].plus(1, a)
	if e := c.entries[key{a.Namespace, a.Trigger}]; e != nil {
		all = all.plus(-1, e.alarm)
	}
	switch {
	case all.alarms > maxAlarms:
		return refuse(fmt.Sprintf("the namespace %s has %d alarms, and more are not allowed: delete some", a.Namespace, maxAlarms))
	case all.payloads > maxPayloads:
		return refuse(fmt.Sprintf("the trigger payloads of the namespace %s are larger than allowed: %d > %d bytes", a.Namespace, all.payloads, maxPayloads))
	}
	return nil
}

// set puts an alarm in the queue when write has kept it. One that somebody has removed from the store, as when
// its namespace was deleted, is forgotten; the error is store.ErrNotFound then. The caller holds mu.
func (c *Clock) set(ctx context.Context, a *Alarm, now time.Time, write func(context.Context, store.Alarm) error) error {
	row, err := a.row()
	if err != nil {
		return err
	}
	if err := write(ctx, row); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			c.forget(key{a.Namespace, a.Trigger})
		}
		return fmt.Errorf("keeping an alarm: %w", err)
	}
	c.place(a, now)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// put keeps an alarm in place of any other of its trigger.
func (c *Clock) put(ctx context.Context, a *Alarm) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(a); err != nil {
		return err
	}
	return c.set(ctx, a, time.Now(), c.store.PutAlarm)
}

// change calls do with the alarm, nil when there is none, and keeps what it returns: nil removes it.
func (c *Clock) change(ctx context.Context, k key, do func(*Alarm) (*Alarm, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var old *Alarm
	if e := c.entries[k]; e != nil {
		copied := *e.alarm
		old = &copied
	}
	a, err := do(old)
	if err != nil {
		return err
	}
	if a != nil {
		if err := c.check(a); err != nil {
			return err
		}
		return c.set(ctx, a, time.Now(), c.store.ChangeAlarm)
	}
	if err := c.store.DeleteAlarm(ctx, k.namespace, k.trigger); err != nil {
		return fmt.Errorf("removing an alarm: %w", err)
	}
	c.forget(k)
	return nil
}

// get returns an alarm; nil: there is none.
func (c *Clock) get(k key) *Alarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		copied := *e.alarm
		return &copied
	}
	return nil
}

// run fires what is due until ctx ends.
func (c *Clock) run(ctx context.Context) {
	var firings sync.WaitGroup
	defer firings.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
		for a := c.takeWithRoom(ctx); a != nil; a = c.takeWithRoom(ctx) {
			firings.Go(func() {
				defer func() { <-c.room }()
				c.fire(ctx, a)
			})
		}
		timer.Reset(c.untilNext(time.Now()))
	}
}

// takeWithRoom returns an alarm that is due, and that has an element of room then; nil: there is none, or ctx has
// ended. What was taken is fired: a stop loses none.
func (c *Clock) takeWithRoom(ctx context.Context) *Alarm {
	select {
	case c.room <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	for a := c.take(ctx, time.Now()); a != nil; a = c.take(ctx, time.Now()) {
		if !c.waits(a) {
			return a
		}
		c.log.Debug("a firing by an alarm is left out: an earlier one still waits for room", "namespace", a.Namespace, "trigger", a.Trigger)
	}
	<-c.room
	return nil
}

func (c *Clock) untilNext(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return lookAgain
	}
	return min(c.queue[0].due.Sub(now), lookAgain)
}

// take returns an alarm that is due, nil: there is none. Its next time is written before, so
// that a kill costs a firing rather than repeats one.
func (c *Clock) take(ctx context.Context, now time.Time) *Alarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && !c.queue[0].due.After(now) && ctx.Err() == nil {
		e := c.queue[0]
		a := *e.alarm
		a.Fired++
		if due, err := a.next(now); err != nil || due.IsZero() {
			a.disable(now, 0, "Automatically disabled after %s", a.lastWords())
		}
		err := c.set(ctx, &a, now, c.store.ChangeAlarm)
		if err == nil {
			return &a
		}
		if errors.Is(err, store.ErrNotFound) { // it is gone from the queue, too
			continue
		}
		c.log.Error("an alarm is put off: its next time cannot be written", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
		e.due = now.Add(lookAgain)
		heap.Fix(&c.queue, e.place)
		return nil
	}
	return nil
}

// waits reports whether an earlier firing of the alarm waits to be tried again.
func (c *Clock) waits(a *Alarm) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting[key{a.Namespace, a.Trigger}]
}

// lastWords says which of an alarm's bounds was reached, in OpenWhisk's words.
func (a *Alarm) lastWords() string {
	switch {
	case a.feed() == feedOnce:
		return "firing once"
	case a.MaxTriggers >= 0 && a.Fired >= a.MaxTriggers:
		return "reaching max triggers"
	case a.feed() == feedInterval:
		return "firing last scheduled interval trigger"
	}
	return "firing last scheduled cron trigger"
}

// fire fires the alarm's trigger. Who takes no more just now is asked again, since
// then nothing has happened yet.
func (c *Clock) fire(ending context.Context, a *Alarm) {
	name := controller.Name{Namespace: a.Namespace, Name: a.Trigger}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ending), fireWithin)
	defer cancel()
	err := c.tryFire(ctx, ending, controller.Firing{
		By:      controller.Identity{Subject: a.Subject, Namespace: a.Namespace},
		Trigger: name, Args: a.Payload, Transaction: "alarm_" + a.Namespace + "_" + a.Trigger,
	})
	var refused *controller.Error
	switch {
	case err == nil:
		c.clean(ctx, a, name)
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests:
		c.log.Warn("an alarm's trigger cannot be fired: the alarm is off", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
		c.disable(ctx, a, refused.Status)
	case refused != nil && refused.Status == http.StatusTooManyRequests: // its namespace has more alarms than it may fire
		c.log.Warn("a firing by an alarm was refused", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
	default:
		c.log.Error("a firing by an alarm failed", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
	}
}

// tryFire tries again where there is no room just now, until ctx ends or the clock does.
func (c *Clock) tryFire(ctx, ending context.Context, f controller.Firing) error {
	if err := c.triggers.MayAct(ctx, f.By.Subject, f.By.Namespace); err != nil {
		return err
	}
	for {
		_, err := c.triggers.Fire(ctx, f)
		var refused *controller.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable && refused.Status != http.StatusTooManyRequests {
			return err
		}
		pause := fireAgain
		if refused.Status == http.StatusTooManyRequests { // the limit counts by the minute
			now := time.Now()
			pause = now.Truncate(time.Minute).Add(time.Minute).Sub(now)
		}
		if !c.pause(ctx, ending, key{f.By.Namespace, f.Trigger.Name}, pause) {
			return err
		}
	}
}

// pause waits before a firing is tried again, and takes no room from others' meanwhile: who has too many alarms
// for his limits holds up nobody else. It reports whether ctx and the clock go on.
func (c *Clock) pause(ctx, ending context.Context, k key, pause time.Duration) bool {
	c.setWaiting(k, true)
	defer c.setWaiting(k, false)
	<-c.room
	defer func() { c.room <- struct{}{} }()
	select {
	case <-ctx.Done():
	case <-ending.Done():
	case <-time.After(pause):
		return true
	}
	return false
}

func (c *Clock) setWaiting(k key, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if is {
		c.waiting[k] = true
	} else {
		delete(c.waiting, k)
	}
}

// disable ends an alarm whose trigger cannot be fired, unless somebody set it anew meanwhile.
func (c *Clock) disable(ctx context.Context, fired *Alarm, status int) {
	err := c.change(ctx, key{fired.Namespace, fired.Trigger}, func(a *Alarm) (*Alarm, error) {
		if a == nil || a.Status != fired.Status {
			return a, nil
		}
		a.disable(time.Now(), status, "Automatically disabled after receiving a %d status code when firing the trigger", status)
		return a, nil
	})
	if err != nil {
		c.log.Error("an alarm could not be ended", "namespace", fired.Namespace, "trigger", fired.Trigger, "error", err)
	}
}

// clean removes what a once shall not leave behind.
func (c *Clock) clean(ctx context.Context, a *Alarm, name controller.Name) {
	if a.feed() != feedOnce || a.DeleteAfterFire != "true" && a.DeleteAfterFire != "rules" {
		return
	}
	err := c.removeTrigger(ctx, name, a.DeleteAfterFire == "rules")
	if err == nil {
		err = c.change(ctx, key{a.Namespace, a.Trigger}, func(*Alarm) (*Alarm, error) { return nil, nil })
	}
	if err != nil {
		c.log.Error("a trigger could not be removed after it fired", "namespace", a.Namespace, "trigger", a.Trigger, "error", err)
	}
}

func (c *Clock) removeTrigger(ctx context.Context, name controller.Name, rules bool) error {
	t, err := c.triggers.Trigger(ctx, name)
	if err != nil {
		return err
	}
	if _, err := c.triggers.DeleteTrigger(ctx, name); err != nil || !rules {
		return err
	}
	for rule := range t.Rules {
		_, short, _ := cutLast(rule)
		if _, err := c.triggers.DeleteRule(ctx, controller.Name{Namespace: name.Namespace, Name: short}); err != nil {
			return err
		}
	}
	return nil
}

// queue is a heap of what is due, the next first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.place = -1
	return e
}
