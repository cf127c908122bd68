package alarm

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // machines without the zones' data exist

	"github.com/robfig/cron/v3"
)

// parser reads cron expressions of five fields, or of six that begin with the seconds.
var parser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// An interval of this many minutes still fits a time.Duration, and is longer than anybody waits: 100 years.
const maxMinutes = 100 * 366 * 24 * 60

// next returns when a is due for the first time after now; the zero time: never again.
// Firings before its start and after its stop are left out.
func (a *Alarm) next(now time.Time) (time.Time, error) {
	if max := a.MaxTriggers; max >= 0 && a.Fired >= max {
		return time.Time{}, nil
	}
	due, err := a.scheduled(now)
	if err != nil || due.IsZero() {
		return time.Time{}, err
	}
	stop, err := a.StopDate.time()
	if err != nil || !stop.IsZero() && due.After(stop) {
		return time.Time{}, err
	}
	return due, nil
}

func (a *Alarm) scheduled(now time.Time) (time.Time, error) {
	if a.feed() == feedOnce {
		if a.Fired > 0 {
			return time.Time{}, nil
		}
		return a.Date.time()
	}
	start, err := a.StartDate.time()
	if err != nil {
		return time.Time{}, err
	}
	if a.feed() == feedInterval {
		return nextInterval(start, time.Duration(a.Minutes)*time.Minute, now), nil
	}
	schedule, err := parseCron(a.Cron, a.Timezone)
	if err != nil {
		return time.Time{}, err
	}
	if start.After(now) {
		now = start.Add(-time.Nanosecond)
	}
	delay := a.delay()
	due := schedule.Next(now.Add(-delay))
	if due.IsZero() {
		return due, nil
	}
	return due.Add(delay), nil
}

// nextInterval returns the first of start, start+every, start+2*every … after now.
func nextInterval(start time.Time, every time.Duration, now time.Time) time.Time {
	if start.After(now) {
		return start
	}
	return start.Add((now.Sub(start)/every + 1) * every)
}

// delay spreads alarms that need not be exact over their minute, always the same for the
// same trigger, so that not everything happens at the full minute.
func (a *Alarm) delay() time.Duration {
	if a.Strict || len(strings.Fields(a.Cron)) != 5 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(a.Namespace + "/" + a.Trigger))
	return time.Duration(h.Sum32()%60) * time.Second
}

// A zoned schedule reads its expression on the clocks of one place.
type zoned struct {
	cron.Schedule
	in *time.Location
}

func (z zoned) Next(t time.Time) time.Time { return z.Schedule.Next(t.In(z.in)) }

// parseCron reads an expression; zone "": UTC. The errors are in OpenWhisk's words.
func parseCron(text, zone string) (cron.Schedule, error) {
	in, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("timezone '%s' is not valid: it is a name such as Europe/Rome", zone)
	}
	schedule, err := parseFields(text)
	if err != nil {
		return nil, fmt.Errorf("cron pattern '%s' is not valid: %w", text, err)
	}
	return zoned{schedule, in}, nil
}

func parseFields(text string) (cron.Schedule, error) {
	fields := strings.Fields(text)
	if len(fields) != 5 && len(fields) != 6 {
		return nil, errors.New("it has five fields, or six that begin with the seconds")
	}
	if strings.Contains(fields[0], "=") { // the parser would take it for a time zone
		return nil, fmt.Errorf("'%s' is not a number, a range or a star", fields[0])
	}
	last := len(fields) - 1
	fields[last] = sundays(fields[last])
	return parser.Parse(strings.Join(fields, " "))
}

// sundays writes a field of weekdays without 7, which is Sunday to cron, and to our parser is nothing.
func sundays(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		days, step, stepped := strings.Cut(part, "/")
		from, to, isRange := strings.Cut(days, "-")
		switch {
		case days == "7" && !stepped:
			parts[i] = "0"
		case isRange && to == "7":
			parts[i] = untilSunday(part, from, step, stepped)
		}
	}
	return strings.Join(parts, ",")
}

// untilSunday lists the days of the range from-7, or returns part as it is when it makes no sense.
func untilSunday(part, from, step string, stepped bool) string {
	first, err := strconv.Atoi(from)
	by := 1
	if err == nil && stepped {
		by, err = strconv.Atoi(step)
	}
	if err != nil || first < 0 || first > 7 || by < 1 {
		return part
	}
	var days []string
	for day := first; day <= 7; day += by {
		days = append(days, strconv.Itoa(day%7))
	}
	return strings.Join(days, ",")
}
