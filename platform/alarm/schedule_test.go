package alarm

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestWhenCronIsDue(t *testing.T) {
	for _, c := range []struct{ cron, zone, now, want string }{
		{"* * * * *", "", "2026-11-26T10:00:30Z", "2026-11-26T10:01:00Z"},
		{"0 * * * *", "", "2026-11-26T10:00:00Z", "2026-11-26T11:00:00Z"},
		{"*/30 * * * * *", "", "2026-11-26T10:00:01Z", "2026-11-26T10:00:30Z"},
		{"0 9 8 * *", "", "2026-11-26T10:00:00Z", "2026-12-08T09:00:00Z"},
		{"0 2 * * 7", "", "2026-11-26T10:00:00Z", "2026-11-29T02:00:00Z"}, // a Sunday
		{"0 2 * * 5-7", "", "2026-11-28T10:00:00Z", "2026-11-29T02:00:00Z"},
		{"0 2 * * 1-7/2", "", "2026-11-26T10:00:00Z", "2026-11-27T02:00:00Z"}, // Mon, Wed, Fri, Sun
		{"0 2 * * SUN", "", "2026-11-26T10:00:00Z", "2026-11-29T02:00:00Z"},
		{"0 9 * * *", "Europe/Rome", "2026-11-26T10:00:00Z", "2026-11-27T08:00:00Z"},
		{"0 9 * * *", "America/New_York", "2026-11-26T10:00:00Z", "2026-11-26T14:00:00Z"},
		// The night of 29 March has no half past two in Rome.
		{"30 2 * * *", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
		{"0 0 29 2 *", "", "2026-11-26T10:00:00Z", "2028-02-29T00:00:00Z"},
	} {
		schedule, err := parseCron(c.cron, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.cron, err)
			continue
		}
		if got := schedule.Next(at(t, c.now)); !got.Equal(at(t, c.want)) {
			t.Errorf("%s in %q after %s: %s, want %s", c.cron, c.zone, c.now, got, c.want)
		}
	}
}

func TestBadCron(t *testing.T) {
	for _, c := range []struct{ cron, zone, want string }{
		{"* * * *", "", "it has five fields"},
		{"* * * * * * *", "", "it has five fields"},
		{"1764151200000", "", "it has five fields"},
		{"61 * * * *", "", "61"},
		{"* * * * 8", "", "8"},
		{"* * * * 9-7", "", "9-7"},
		{"TZ=UTC * * * * *", "", "TZ=UTC"},
		{"@every 1s", "", "it has five fields"},
		{"* * * * *", "Mars/Olympus", "timezone 'Mars/Olympus' is not valid"},
		{"* * * * *", "Local", "timezone 'Local' is not valid"},
		{"* * * * *", "../etc/passwd", "is not valid"},
	} {
		if _, err := parseCron(c.cron, c.zone); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %q: %v, want %q", c.cron, c.zone, err, c.want)
		}
	}
}

func TestIntervalKeepsItsBeat(t *testing.T) {
	start := at(t, "2026-11-26T10:00:00Z")
	for now, want := range map[string]string{
		"2026-11-26T09:00:00Z": "2026-11-26T10:00:00Z",
		"2026-11-26T10:00:00Z": "2026-11-26T10:07:00Z",
		"2026-11-26T10:06:59Z": "2026-11-26T10:07:00Z",
		"2026-11-26T10:20:00Z": "2026-11-26T10:21:00Z", // two were missed
	} {
		if got := nextInterval(start, 7*time.Minute, at(t, now)); !got.Equal(at(t, want)) {
			t.Errorf("at %s: %s, want %s", now, got, want)
		}
	}
}

// now is when the clients of these tests set their alarms.
const now = "2026-11-26T10:00:00Z"

func TestWhatClientsAskFor(t *testing.T) {
	for _, c := range []struct{ feed, args, due, payload string }{
		{feedAlarm, `{"cron":"0 12 * * *"}`, "2026-11-26T12:00:00Z", `{}`},
		{feedAlarm, `{"cron":"0 12 * * *","trigger_payload":""}`, "2026-11-26T12:00:00Z", `{}`},
		{feedAlarm, `{"cron":"0 12 * * *","startDate":"2026-11-27T12:00:00Z","trigger_payload":{"a":1.50}}`, "2026-11-27T12:00:00Z", `{"a":1.50}`},
		{feedAlarm, `{"cron":"0 12 * * *","trigger_payload":"{\"name\":\"Odin\"}"}`, "2026-11-26T12:00:00Z", `{"name":"Odin"}`},
		{feedAlarm, `{"cron":"0 12 * * *","trigger_payload":"Odin","strict":"true"}`, "2026-11-26T12:00:00Z", `{"payload":"Odin"}`},
		{feedAlarm, `{"cron":"0 12 * * *","trigger_payload":[1]}`, "2026-11-26T12:00:00Z", `{"payload":[1]}`},
		{feedInterval, `{"minutes":2}`, "2026-11-26T10:00:30Z", `{}`},
		{feedInterval, `{"minutes":"2","startDate":"2026-11-26T11:00:00Z","stopDate":1795780800000}`, "2026-11-26T11:00:00Z", `{}`},
		{feedOnce, `{"date":"2026-12-25T12:30:00.000Z","deleteAfterFire":"rules"}`, "2026-12-25T12:30:00Z", `{}`},
		{feedOnce, `{"date":1795780800000}`, "2026-11-27T12:00:00Z", `{}`},
	} {
		a, err := ask(t, c.feed, c.args)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		due, err := a.next(at(t, now))
		if err != nil || !due.Equal(at(t, c.due)) {
			t.Errorf("%s: due %s, %v, want %s", c.args, due, err, c.due)
		}
		if string(a.Payload) != c.payload {
			t.Errorf("%s: payload %s, want %s", c.args, a.Payload, c.payload)
		}
		if a.feed() != c.feed {
			t.Errorf("%s: became one of %s", c.args, a.feed())
		}
	}
}

func ask(t *testing.T, feed, text string) (*Alarm, error) {
	t.Helper()
	var p args
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return newAlarm(feed, &p, at(t, now))
}

// The words are those of OpenWhisk's package, whose tests look for them.
func TestWhatClientsAreTold(t *testing.T) {
	for _, c := range []struct{ feed, args, want string }{
		{feedAlarm, `{}`, "alarms trigger feed is missing the cron parameter"},
		{feedOnce, `{}`, "alarms once trigger feed is missing the date parameter"},
		{feedInterval, `{}`, "interval trigger feed is missing the minutes parameter"},
		{feedAlarm, `{"cron":1764151200000}`, "cron pattern '1764151200000' is not valid"},
		{feedAlarm, `{"cron":"0 0 31 2 *"}`, "names no day that comes"},
		{feedOnce, `{"date":"tomorrow"}`, "date parameter 'tomorrow' is not a valid Date"},
		{feedOnce, `{"date":1764151200000}`, "date parameter '1764151200000' must be in the future"},
		{feedOnce, `{"date":1e300}`, "is not a valid Date"},
		{feedOnce, `{"date":"2027-01-01","deleteAfterFire":"all"}`, "deleteAfterFire parameter must be one of [false, true, rules]"},
		{feedAlarm, `{"cron":"* * * * *","startDate":"2020-01-01"}`, "startDate parameter '2020-01-01' must be in the future"},
		{feedAlarm, `{"cron":"* * * * *","startDate":"2027-01-01","stopDate":"2027-01-01"}`, "stopDate parameter '2027-01-01' must be greater than the startDate parameter '2027-01-01'"},
		{feedAlarm, `{"cron":"0 0 1 1 *","stopDate":"2026-12-01"}`, "the first scheduled trigger fire is not until after the stop date"},
		{feedAlarm, `{"cron":"* * * * *","stopDate":"2027-01-01","maxTriggers":3}`, "maxTriggers is not allowed when the stopDate parameter is specified"},
		{feedAlarm, `{"cron":"* * * * *","maxTriggers":"many"}`, "the maxTriggers parameter must be an integer"},
		{feedAlarm, `{"cron":"* * * * *","strict":"maybe"}`, "the strict parameter must be true or false"},
		{feedInterval, `{"minutes":"five"}`, "the minutes parameter must be an integer"},
		{feedInterval, `{"minutes":1.5}`, "the minutes parameter must be an integer"},
		{feedInterval, `{"minutes":-1}`, "the minutes parameter must be an integer greater than zero"},
		{feedInterval, `{"minutes":1e12}`, "must not be greater than"},
		{feedInterval, `{"minutes":1,"maxTriggers":3}`, "maxTriggers is not supported for the interval trigger feed"},
	} {
		if _, err := ask(t, c.feed, c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.feed, c.args, err, c.want)
		}
	}
}

func TestUpdateChangesWhatItNames(t *testing.T) {
	a, err := ask(t, feedAlarm, `{"cron":"0 12 * * *","stopDate":"2027-01-01","trigger_payload":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := a.update(feedAlarm, &args{Timezone: "Europe/Rome"}, at(t, now))
	if err != nil || !changed || a.Cron != "0 12 * * *" || string(a.Payload) != `{"payload":"x"}` {
		t.Errorf("%v, %v: %+v", changed, err, a)
	}
	if changed, err := a.update(feedAlarm, &args{}, at(t, now)); err != nil || changed {
		t.Errorf("nothing was asked for: %v, %v", changed, err)
	}
	// What fits no alarm of this feed changes nothing.
	if changed, err := a.update(feedAlarm, &args{Minutes: json.RawMessage("3")}, at(t, now)); err != nil || changed {
		t.Errorf("minutes for a cron: %v, %v", changed, err)
	}
	_, err = a.update(feedAlarm, &args{StartDate: date(`"2027-02-01"`)}, at(t, now))
	if err == nil || !strings.Contains(err.Error(), "startDate parameter '2027-02-01' must be less than the stopDate parameter '2027-01-01'") {
		t.Errorf("a start after the stop: %v", err)
	}
}

func TestWithoutStrictTheMinuteIsSpread(t *testing.T) {
	a, err := ask(t, feedAlarm, `{"cron":"0 12 * * *","strict":false}`)
	if err != nil {
		t.Fatal(err)
	}
	seconds := map[int]bool{}
	for _, name := range []string{"a", "b", "c", "d"} {
		a.Trigger = name
		due, err := a.next(at(t, now))
		again, _ := a.next(due.Add(-time.Millisecond))
		if err != nil || due.Hour() != 12 || due.Minute() != 0 || !again.Equal(due) {
			t.Errorf("%s: due %s, then %s, %v", name, due, again, err)
		}
		seconds[due.Second()] = true
	}
	if len(seconds) < 2 {
		t.Errorf("all at the same second: %v", seconds)
	}
}

func FuzzArgs(f *testing.F) {
	for _, s := range []string{`{"cron":"* * * * *"}`, `{"minutes":2}`, `{"date":"2027-01-01","deleteAfterFire":true}`, `{"cron":"0 2 * * 5-7/2","timezone":"Asia/Tokyo","startDate":1e3}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p args
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		moment := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
		for _, feed := range []string{feedAlarm, feedInterval, feedOnce} {
			a, err := newAlarm(feed, &p, moment)
			if err != nil {
				continue
			}
			due, err := a.next(moment)
			if err != nil || !due.IsZero() && !due.After(moment) {
				t.Fatalf("%s %s: due %s, %v", feed, text, due, err)
			}
			row, err := a.row()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := decode(row); err != nil || back.feed() != feed {
				t.Fatalf("%s: kept as %s, %v", text, row.Doc, err)
			}
		}
	})
}
