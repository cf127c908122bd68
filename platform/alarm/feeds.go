package alarm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Package returns the package alarms, as the catalog of OpenWhisk has it.
func (c *Clock) Package() controller.SystemPackage {
	return controller.SystemPackage{
		Name: "alarms",
		Annotations: controller.Parameters{
			{Key: "description", Value: json.RawMessage(`"Alarms and periodic utility."`)},
			{Key: "parameters", Value: json.RawMessage(`[{"name":"trigger_payload","required":false}]`)},
		},
		Parameters: controller.Parameters{{Key: "trigger_payload", Value: json.RawMessage(`""`)}},
		Actions: []controller.SystemAction{
			c.feed(feedAlarm, "Fire trigger when alarm occurs.",
				`[{"name":"cron","required":true},{"name":"timezone","required":false},{"name":"startDate","required":false},{"name":"stopDate","required":false},{"name":"strict","required":false}]`),
			c.feed(feedOnce, "Fire trigger once when alarm occurs.",
				`[{"name":"date","required":true},{"name":"deleteAfterFire","required":false}]`),
			c.feed(feedInterval, "Fire trigger at specified interval.",
				`[{"name":"minutes","required":true},{"name":"startDate","required":false},{"name":"stopDate","required":false}]`),
		},
	}
}

func (c *Clock) feed(name, description, parameters string) controller.SystemAction {
	text, _ := json.Marshal(description) // a string can be encoded
	return controller.SystemAction{
		Name: name,
		Annotations: controller.Parameters{
			{Key: "description", Value: text},
			{Key: "parameters", Value: json.RawMessage(parameters)},
			{Key: "feed", Value: json.RawMessage("true")},
		},
		Run: func(ctx context.Context, call controller.BuiltinCall) (any, error) { return c.call(ctx, name, call) },
	}
}

// refuse is a failure as the package's callers know it.
func refuse(text string) error {
	return &controller.Failure{Result: map[string]string{"error": text}}
}

// success is the answer to all events but READ.
var success = map[string]string{"status": "success"}

// call carries out one event of a feed. The trigger is always one of the caller's own
// namespace, whatever namespace its name has, and the key that came along is not looked at.
func (c *Clock) call(ctx context.Context, feed string, call controller.BuiltinCall) (any, error) {
	var p args
	if err := json.Unmarshal(call.Args, &p); err != nil {
		return nil, refuse("the parameters are not as they should be: " + err.Error())
	}
	trigger := p.TriggerName
	if _, last, ok := cutLast(trigger); ok {
		trigger = last
	}
	if trigger == "" {
		return nil, refuse("no trigger name parameter was provided")
	}
	at := key{call.By.Namespace, trigger}
	switch strings.ToUpper(p.LifecycleEvent) {
	case "CREATE":
		return c.create(ctx, feed, at, &p, call.By)
	case "READ":
		return c.read(ctx, at)
	case "UPDATE":
		return c.update(ctx, at, &p)
	case "DELETE":
		return c.delete(ctx, at)
	}
	return nil, refuse("unsupported lifecycleEvent")
}

// cutLast cuts a name at its last slash; ok: there is one.
func cutLast(name string) (before, last string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

func (c *Clock) create(ctx context.Context, feed string, at key, p *args, by controller.Identity) (any, error) {
	if _, err := c.triggers.Trigger(ctx, controller.Name{Namespace: at.namespace, Name: at.trigger}); err != nil {
		var refused *controller.Error
		if !errors.As(err, &refused) {
			return nil, err
		}
		return nil, refuse("Trigger authentication request failed: the trigger " + at.trigger + ": " + refused.Message)
	}
	a, err := newAlarm(feed, p, time.Now())
	if err != nil {
		return nil, refuse(err.Error())
	}
	a.Namespace, a.Trigger, a.Subject = at.namespace, at.trigger, by.Subject
	return success, c.put(ctx, a)
}

// update changes what p names; an alarm that was off goes on.
func (c *Clock) update(ctx context.Context, at key, p *args) (any, error) {
	err := c.change(ctx, at, func(a *Alarm) (*Alarm, error) {
		if a == nil {
			return nil, noAlarm(at)
		}
		now := time.Now()
		changed, err := a.update(a.feed(), p, now)
		if err != nil {
			return nil, refuse(err.Error())
		}
		if !changed {
			return nil, refuse("no updatable parameters were specified")
		}
		a.Status = Status{Active: true, DateChanged: now.UnixMilli()}
		return a, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = noAlarm(at)
	}
	return success, err
}

func (c *Clock) delete(ctx context.Context, at key) (any, error) {
	return success, c.change(ctx, at, func(a *Alarm) (*Alarm, error) {
		if a == nil {
			return nil, noAlarm(at)
		}
		return nil, nil
	})
}

func noAlarm(at key) error {
	return refuse("could not find the trigger /" + at.namespace + "/" + at.trigger + " in the database")
}

// reading is the answer to READ.
type reading struct {
	Config config        `json:"config"`
	Status readingStatus `json:"status"`
}

type config struct {
	Name            string          `json:"name"`
	Namespace       string          `json:"namespace"`
	Payload         json.RawMessage `json:"payload"`
	Cron            string          `json:"cron,omitempty"`
	Timezone        string          `json:"timezone,omitempty"`
	Minutes         int             `json:"minutes,omitempty"`
	Date            date            `json:"date,omitempty"`
	DeleteAfterFire string          `json:"deleteAfterFire,omitempty"`
	StartDate       date            `json:"startDate,omitempty"`
	StopDate        date            `json:"stopDate,omitempty"`
	MaxTriggers     int             `json:"maxTriggers,omitempty"`
}

type readingStatus struct {
	Status
	DateChangedISO string `json:"dateChangedISO"`
	Fired          int    `json:"fired"`
	Next           string `json:"next,omitempty"` // when it fires next, if it does
}

func (c *Clock) read(ctx context.Context, at key) (any, error) {
	a := c.get(at)
	if a == nil {
		return nil, noAlarm(at)
	}
	// What an earlier owner of the namespace had is nothing to a later one.
	if has, err := c.store.HasAlarm(ctx, at.namespace, at.trigger); err != nil || !has {
		return nil, cmp.Or(err, noAlarm(at))
	}
	r := reading{
		Config: config{
			Name: a.Trigger, Namespace: a.Namespace, Payload: a.Payload, Cron: a.Cron, Timezone: a.Timezone,
			Minutes: a.Minutes, Date: a.Date, DeleteAfterFire: a.DeleteAfterFire, StartDate: a.StartDate, StopDate: a.StopDate,
		},
		Status: readingStatus{
			Status: a.Status, Fired: a.Fired,
			DateChangedISO: time.UnixMilli(a.Status.DateChanged).UTC().Format(time.RFC3339),
		},
	}
	if a.MaxTriggers > 0 {
		r.Config.MaxTriggers = a.MaxTriggers
	}
	if due, err := a.next(time.Now()); a.Status.Active && err == nil && !due.IsZero() {
		r.Status.Next = due.UTC().Format(time.RFC3339)
	}
	return r, nil
}
