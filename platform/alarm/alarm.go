package alarm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// The feeds, by the names of their actions.
const (
	feedAlarm    = "alarm"
	feedInterval = "interval"
	feedOnce     = "once"
)

// An Alarm is a trigger with its times. It is kept as JSON.
type Alarm struct {
	Namespace string `json:"namespace"`
	Trigger   string `json:"trigger"`
	Subject   string `json:"subject"` // who set it, and in whose name it fires

	Cron     string `json:"cron,omitempty"` // of the feed alarm
	Timezone string `json:"timezone,omitempty"`
	Strict   bool   `json:"strict,omitempty"`  // at the full minute, not somewhere in it
	Minutes  int    `json:"minutes,omitempty"` // of the feed interval
	Date     date   `json:"date,omitempty"`    // of the feed once
	// DeleteAfterFire says what a once leaves: "false", "true" (not the trigger), "rules" (also not its rules).
	DeleteAfterFire string `json:"deleteAfterFire,omitempty"`

	StartDate   date            `json:"startDate,omitempty"`
	StopDate    date            `json:"stopDate,omitempty"`
	MaxTriggers int             `json:"maxTriggers"` // -1: no bound
	Fired       int             `json:"fired"`
	Payload     json.RawMessage `json:"payload"` // an object
	Status      Status          `json:"status"`
}

// Status says whether an alarm still fires.
type Status struct {
	Active      bool    `json:"active"`
	DateChanged int64   `json:"dateChanged"` // milliseconds since 1970
	Reason      *Reason `json:"reason,omitempty"`
}

// A Reason says why an alarm does not fire any more.
type Reason struct {
	Kind       string `json:"kind"` // always "AUTO": the platform decided it
	StatusCode int    `json:"statusCode,omitempty"`
	Message    string `json:"message"`
}

func (a *Alarm) feed() string {
	switch {
	case a.Date.isSet():
		return feedOnce
	case a.Minutes > 0:
		return feedInterval
	}
	return feedAlarm
}

func (a *Alarm) disable(now time.Time, statusCode int, format string, args ...any) {
	a.Status = Status{DateChanged: now.UnixMilli(), Reason: &Reason{"AUTO", statusCode, fmt.Sprintf(format, args...)}}
}

// row is the alarm as the store keeps it.
func (a *Alarm) row() (store.Alarm, error) {
	doc, err := store.Encode(a)
	if err != nil {
		return store.Alarm{}, fmt.Errorf("encoding an alarm: %w", err)
	}
	return store.Alarm{Namespace: a.Namespace, Trigger: a.Trigger, Doc: doc}, nil
}

func decode(row store.Alarm) (*Alarm, error) {
	var a Alarm
	if err := json.Unmarshal(row.Doc, &a); err != nil {
		return nil, fmt.Errorf("the stored alarm of %s/%s: %w", row.Namespace, row.Trigger, err)
	}
	return &a, nil
}

// args are a feed's parameters as clients send them.
type args struct {
	LifecycleEvent  string          `json:"lifecycleEvent"`
	TriggerName     string          `json:"triggerName"`
	Payload         json.RawMessage `json:"trigger_payload"`
	Cron            json.RawMessage `json:"cron"`
	Timezone        string          `json:"timezone"`
	Strict          json.RawMessage `json:"strict"`
	Minutes         json.RawMessage `json:"minutes"`
	Date            date            `json:"date"`
	DeleteAfterFire json.RawMessage `json:"deleteAfterFire"`
	StartDate       date            `json:"startDate"`
	StopDate        date            `json:"stopDate"`
	MaxTriggers     json.RawMessage `json:"maxTriggers"`
}

// intervalLead is when an interval without a start begins, as in OpenWhisk's package.
const intervalLead = 30 * time.Second

// newAlarm returns what a feed's CREATE asks for.
func newAlarm(feed string, p *args, now time.Time) (*Alarm, error) {
	a := &Alarm{MaxTriggers: -1, Strict: true, Status: Status{Active: true, DateChanged: now.UnixMilli()}}
	if err := a.require(feed, p); err != nil {
		return nil, err
	}
	if feed == feedInterval && !p.StartDate.isSet() {
		a.StartDate = date(strconv.FormatInt(now.Add(intervalLead).UnixMilli(), 10))
	}
	a.Payload = json.RawMessage("{}")
	if _, err := a.update(feed, p, now); err != nil {
		return nil, err
	}
	return a, nil
}

// require checks that what a feed cannot do without is there.
func (a *Alarm) require(feed string, p *args) error {
	switch {
	case feed == feedOnce && !p.Date.isSet():
		return errors.New("alarms once trigger feed is missing the date parameter")
	case feed == feedInterval && !isSet(p.Minutes):
		return errors.New("interval trigger feed is missing the minutes parameter")
	case feed == feedAlarm && !isSet(p.Cron):
		return errors.New("alarms trigger feed is missing the cron parameter")
	case feed == feedInterval && isSet(p.MaxTriggers):
		return errors.New("maxTriggers is not supported for the interval trigger feed")
	case isSet(p.MaxTriggers) && p.StopDate.isSet():
		return errors.New("maxTriggers is not allowed when the stopDate parameter is specified")
	}
	return nil
}

// update makes a what p asks for, and reports whether that is anything. feed is the
// alarm's own: the parameters of other feeds are not looked at.
func (a *Alarm) update(feed string, p *args, now time.Time) (changed bool, err error) {
	if isSet(p.Payload) {
		a.Payload, changed = payload(p.Payload), true
	}
	set := map[string]func(*args, time.Time) (bool, error){
		feedAlarm: a.setCron, feedInterval: a.setMinutes, feedOnce: a.setDate,
	}[feed]
	specific, err := set(p, now)
	if err != nil || feed == feedOnce {
		return changed || specific, err
	}
	dates, err := a.setDates(p, now)
	return changed || specific || dates, err
}

func (a *Alarm) setCron(p *args, now time.Time) (changed bool, err error) {
	if isSet(p.Cron) {
		a.Cron, changed = text(p.Cron), true
	}
	if p.Timezone != "" {
		a.Timezone, changed = p.Timezone, true
	}
	if isSet(p.Strict) {
		if a.Strict, err = strconv.ParseBool(text(p.Strict)); err != nil {
			return false, fmt.Errorf("the strict parameter must be true or false, not '%s'", text(p.Strict))
		}
		changed = true
	}
	if isSet(p.MaxTriggers) {
		max, err := strconv.Atoi(text(p.MaxTriggers))
		if err != nil || max < -1 || max == 0 {
			return false, fmt.Errorf("the maxTriggers parameter must be an integer greater than zero, or -1 for no bound, not '%s'", text(p.MaxTriggers))
		}
		a.MaxTriggers, changed = max, true
	}
	schedule, err := parseCron(a.Cron, a.Timezone)
	if err != nil {
		return false, err
	}
	if schedule.Next(now).IsZero() {
		return false, fmt.Errorf("cron pattern '%s' names no day that comes", a.Cron)
	}
	return changed, nil
}

func (a *Alarm) setMinutes(p *args, _ time.Time) (bool, error) {
	if !isSet(p.Minutes) {
		return false, nil
	}
	n, err := strconv.ParseFloat(text(p.Minutes), 64)
	if err != nil || n != math.Trunc(n) {
		return false, errors.New("the minutes parameter must be an integer")
	}
	if n <= 0 {
		return false, errors.New("the minutes parameter must be an integer greater than zero")
	}
	if n > maxMinutes {
		return false, fmt.Errorf("the minutes parameter must not be greater than %d", maxMinutes)
	}
	a.Minutes = int(n)
	return true, nil
}

func (a *Alarm) setDate(p *args, now time.Time) (changed bool, err error) {
	if p.Date.isSet() {
		if err := p.Date.future("date", now, nil); err != nil {
			return false, err
		}
		a.Date, a.Fired, changed = p.Date, 0, true
	}
	if isSet(p.DeleteAfterFire) {
		what := strings.ToLower(strings.TrimSpace(text(p.DeleteAfterFire)))
		if what != "false" && what != "true" && what != "rules" {
			return false, errors.New("deleteAfterFire parameter must be one of [false, true, rules]")
		}
		a.DeleteAfterFire, changed = what, true
	}
	return changed, nil
}

// setDates sets the bounds of a recurring alarm.
func (a *Alarm) setDates(p *args, now time.Time) (changed bool, err error) {
	if p.StartDate.isSet() {
		if err := p.StartDate.future("startDate", now, nil); err != nil {
			return false, err
		}
		a.StartDate, changed = p.StartDate, true
	}
	if p.StopDate.isSet() {
		if err := p.StopDate.future("stopDate", now, a.StartDate); err != nil {
			return false, err
		}
		a.StopDate, changed = p.StopDate, true
	}
	if !a.StopDate.isSet() {
		return changed, nil
	}
	start, err := a.StartDate.time()
	if err != nil {
		return false, err
	}
	stop, err := a.StopDate.time()
	if err != nil {
		return false, err
	}
	if !stop.After(start) {
		return false, fmt.Errorf("startDate parameter '%s' must be less than the stopDate parameter '%s'", a.StartDate, a.StopDate)
	}
	due, err := a.scheduled(now)
	if err == nil && (due.IsZero() || due.After(stop)) {
		err = errors.New("the first scheduled trigger fire is not until after the stop date")
	}
	return changed, err
}

// isSet reports whether a parameter was given, and is not empty: packages have empty defaults.
func isSet(value json.RawMessage) bool {
	s := string(bytes.TrimSpace(value))
	return s != "" && s != "null" && s != `""`
}

// text returns a JSON string's text, and anything else as it is written.
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}

// payload returns what a firing carries: an object as it is, anything else as its field
// "payload". A string that holds an object is one: clients write it so.
func payload(value json.RawMessage) json.RawMessage {
	value = bytes.TrimSpace(value)
	if value[0] == '{' {
		return value
	}
	inner := strings.TrimSpace(text(value))
	if value[0] == '"' && strings.HasPrefix(inner, "{") && json.Valid([]byte(inner)) {
		return json.RawMessage(inner)
	}
	return json.RawMessage(`{"payload":` + string(value) + `}`)
}
