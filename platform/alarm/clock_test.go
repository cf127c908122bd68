package alarm

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// These tests run in fake time, where no database can be: the store is a map, and the
// triggers only note that they were fired. test/alarm_test.go has both real.

type fakeStore struct {
	mu   sync.Mutex
	rows map[key]store.Alarm
	err  error
}

func (s *fakeStore) PutAlarm(_ context.Context, a store.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.rows[key{a.Namespace, a.Trigger}] = a
	}
	return s.err
}

func (s *fakeStore) ChangeAlarm(ctx context.Context, a store.Alarm) error {
	if has, _ := s.HasAlarm(ctx, a.Namespace, a.Trigger); !has {
		return store.ErrNotFound
	}
	return s.PutAlarm(ctx, a)
}

func (s *fakeStore) HasAlarm(_ context.Context, namespace, trigger string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.rows[key{namespace, trigger}]
	return has, nil
}

func (s *fakeStore) DeleteAlarm(_ context.Context, namespace, trigger string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, key{namespace, trigger})
	return nil
}

func (s *fakeStore) Alarms(context.Context) (list []store.Alarm, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.rows {
		list = append(list, row)
	}
	return list, nil
}

func (s *fakeStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

type fakeTriggers struct {
	start time.Time

	mu       sync.Mutex
	fired    []string // "name +seconds payload"
	refusals []int    // statuses of the next firings
	greedy   string   // a namespace that may never fire anything
	removed  []string
}

func (f *fakeTriggers) Fire(_ context.Context, firing controller.Firing) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.greedy != "" && firing.By.Namespace == f.greedy {
		return "", controller.Refuse(http.StatusTooManyRequests, "refused")
	}
	if len(f.refusals) > 0 {
		status := f.refusals[0]
		f.refusals = f.refusals[1:]
		if status != 0 {
			return "", controller.Refuse(status, "refused")
		}
	}
	f.fired = append(f.fired, firing.By.Namespace+"/"+firing.Trigger.Name+" +"+time.Since(f.start).String()+" "+string(firing.Args))
	return "id", nil
}

func (f *fakeTriggers) MayAct(context.Context, string, string) error { return nil }

func (f *fakeTriggers) Trigger(_ context.Context, name controller.Name) (*controller.Trigger, error) {
	if name.Name == "missing" {
		return nil, controller.Refuse(http.StatusNotFound, "The requested resource does not exist.")
	}
	return &controller.Trigger{Rules: map[string]controller.Link{name.Namespace + "/rule": {}}}, nil
}

func (f *fakeTriggers) DeleteTrigger(_ context.Context, name controller.Name) (*controller.Trigger, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, "trigger "+name.Name)
	return nil, nil
}

func (f *fakeTriggers) DeleteRule(_ context.Context, name controller.Name) (*controller.Rule, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, "rule "+name.Name)
	return nil, nil
}

// refuse has the next firings end with these statuses; 0: well.
func (f *fakeTriggers) refuse(statuses ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals = statuses
}

func (f *fakeTriggers) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.fired)
}

// A bench is a clock in fake time, which begins at midnight of 1 January 2000.
type bench struct {
	t        *testing.T
	store    *fakeStore
	triggers *fakeTriggers
	clock    *Clock
}

func inFakeTime(t *testing.T, do func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, store: &fakeStore{rows: map[key]store.Alarm{}}, triggers: &fakeTriggers{start: time.Now()}}
		b.open()
		do(b)
		b.clock.Close()
	})
}

func (b *bench) open() {
	b.t.Helper()
	clock, err := Start(b.t.Context(), b.store, b.triggers, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	b.clock = clock
}

func (b *bench) call(feed, event, text string) (string, error) {
	b.t.Helper()
	var given map[string]any
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		b.t.Fatal(err)
	}
	given["lifecycleEvent"] = event
	if given["triggerName"] == nil {
		given["triggerName"] = "/_/tick"
	}
	input, _ := json.Marshal(given)
	result, err := b.clock.call(b.t.Context(), feed, controller.BuiltinCall{By: controller.Identity{Subject: "ada", Namespace: "ns"}, Args: input})
	if err != nil {
		return "", err
	}
	answer, err := store.Encode(result)
	return string(answer), err
}

func (b *bench) must(feed, event, text string) string {
	b.t.Helper()
	answer, err := b.call(feed, event, text)
	if err != nil {
		b.t.Fatalf("%s %s: %v", event, text, err)
	}
	return answer
}

// put keeps an alarm of any namespace.
func (b *bench) put(namespace, trigger, text string) error {
	b.t.Helper()
	var p args
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		b.t.Fatal(err)
	}
	a, err := newAlarm(feedAlarm, &p, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	a.Namespace, a.Trigger = namespace, trigger
	return b.clock.put(b.t.Context(), a)
}

func (b *bench) mustPut(namespace, trigger, text string) {
	b.t.Helper()
	if err := b.put(namespace, trigger, text); err != nil {
		b.t.Fatal(err)
	}
}

// after lets time pass and expects these firings, of all so far.
func (b *bench) after(d time.Duration, want ...string) {
	b.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if got := b.triggers.told(); !slices.Equal(got, want) {
		b.t.Errorf("after %s: fired %q, want %q", time.Since(b.triggers.start), got, want)
	}
}

func TestCronFiresOnTime(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"*/2 * * * *","trigger_payload":{"n":1}}`)
		b.after(119 * time.Second)
		b.after(time.Second, `ns/tick +2m0s {"n":1}`)
		b.after(4*time.Minute, `ns/tick +2m0s {"n":1}`, `ns/tick +4m0s {"n":1}`, `ns/tick +6m0s {"n":1}`)
	})
}

func TestIntervalStopsAtItsStopDate(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedInterval, "CREATE", `{"minutes":1,"stopDate":"2000-01-01T00:02:00Z"}`)
		b.after(time.Hour, `ns/tick +30s {}`, `ns/tick +1m30s {}`)
		if read := b.must(feedInterval, "READ", `{}`); !strings.Contains(read, `"active":false`) || !strings.Contains(read, "firing last scheduled interval trigger") {
			t.Error(read)
		}
	})
}

func TestMaxTriggersEndsAnAlarm(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"* * * * *","maxTriggers":2}`)
		b.after(time.Hour, `ns/tick +1m0s {}`, `ns/tick +2m0s {}`)
		if read := b.must(feedAlarm, "READ", `{}`); !strings.Contains(read, "reaching max triggers") {
			t.Error(read)
		}
	})
}

func TestOnceRemovesWhatItShall(t *testing.T) {
	for given, want := range map[string][]string{
		`{"date":"2000-01-02"}`:                           nil,
		`{"date":"2000-01-02","deleteAfterFire":"true"}`:  {"trigger tick"},
		`{"date":"2000-01-02","deleteAfterFire":"rules"}`: {"trigger tick", "rule rule"},
	} {
		inFakeTime(t, func(b *bench) {
			b.must(feedOnce, "CREATE", given)
			b.after(72*time.Hour, `ns/tick +24h0m0s {}`)
			if !slices.Equal(b.triggers.removed, want) {
				t.Errorf("%s removed %q, want %q", given, b.triggers.removed, want)
			}
			if left := len(b.store.rows); (left == 0) != (want != nil) {
				t.Errorf("%s left %d alarms", given, left)
			}
		})
	}
}

func TestOnceFiresLateAndCronOnlyFromNowOnAfterARestart(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedOnce, "CREATE", `{"date":"2000-01-01T00:10:00Z"}`)
		b.must(feedAlarm, "CREATE", `{"cron":"5 * * * *","triggerName":"hourly"}`)
		b.clock.Close()
		b.after(3*time.Hour + time.Second)
		b.open()
		b.after(0, `ns/tick +3h0m1s {}`)
		b.after(10*time.Minute, `ns/tick +3h0m1s {}`, `ns/hourly +3h5m0s {}`)
		b.clock.Close()
		b.open()
		b.after(10*time.Minute, `ns/tick +3h0m1s {}`, `ns/hourly +3h5m0s {}`)
	})
}

func TestAlarmOfAMissingTriggerEnds(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"* * * * *"}`)
		b.triggers.refuse(0, http.StatusNotFound)
		b.after(time.Hour, `ns/tick +1m0s {}`)
		if read := b.must(feedAlarm, "READ", `{}`); !strings.Contains(read, `"reason":{"kind":"AUTO","statusCode":404,`) {
			t.Error(read)
		}
		b.must(feedAlarm, "UPDATE", `{"cron":"*/30 * * * *"}`)
		b.after(30*time.Minute, `ns/tick +1m0s {}`, `ns/tick +1h30m0s {}`)
	})
}

func TestFiringIsTriedAgainWhenThereWasNoRoom(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"0 * * * *"}`)
		b.triggers.refuse(http.StatusTooManyRequests, http.StatusServiceUnavailable)
		b.after(time.Hour+2*time.Minute, `ns/tick +1h1m1s {}`) // the limit's next minute, and a second
	})
}

// Who has more alarms than his limits let him fire holds up nobody else's.
func TestAlwaysTrue7AlarmsAboveALimitHoldUpNobody(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.triggers.greedy = "greedy"
		for i := range 10 * firingsAtOnce {
			b.mustPut("greedy", fmt.Sprint("t", i), `{"cron":"* * * * * *"}`)
		}
		b.mustPut("ns", "tick", `{"cron":"30 * * * * *"}`)
		b.after(2*time.Minute, `ns/tick +30s {}`, `ns/tick +1m30s {}`)
		b.clock.mu.Lock()
		defer b.clock.mu.Unlock()
		if n := len(b.clock.waiting); n > 10*firingsAtOnce {
			t.Errorf("%d firings wait", n)
		}
	})
}

// A namespace that was deleted beside the platform has no alarms any more, also not when another one gets its name.
func TestAlwaysTrue9AlarmsOfADeletedNamespaceAreGone(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"0 * * * *","trigger_payload":{"mine":1}}`)
		b.must(feedInterval, "CREATE", `{"minutes":600,"triggerName":"seldom"}`)
		for k := range b.store.rows {
			b.store.DeleteAlarm(t.Context(), k.namespace, k.trigger)
		}
		for _, event := range []string{"READ", "UPDATE"} {
			if answer, err := b.call(feedInterval, event, `{"minutes":700,"triggerName":"seldom"}`); err == nil || !strings.Contains(err.Error(), "could not find the trigger") {
				t.Errorf("%s of what is gone: %s, %v", event, answer, err)
			}
		}
		b.after(3 * time.Hour)
		if n := len(b.store.rows); n != 0 {
			t.Errorf("%d alarms are back", n)
		}
		b.must(feedAlarm, "CREATE", `{"cron":"0 * * * *"}`)
		b.after(time.Hour, `ns/tick +4h0m0s {}`)
	})
}

func TestAlwaysTrue7ANamespaceHasSoManyAlarms(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		for i := range maxAlarms {
			b.mustPut("full", fmt.Sprint(i), `{"cron":"0 0 1 1 *"}`)
		}
		if err := b.put("full", "more", `{"cron":"0 0 1 1 *"}`); err == nil || !strings.Contains(err.Error(), "has 10000 alarms") {
			t.Errorf("one more: %v", err)
		}
		b.mustPut("full", "7", `{"cron":"0 0 2 1 *"}`) // another for the same trigger
		big := `{"cron":"0 0 1 1 *","trigger_payload":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`
		for i := range maxPayloads >> 20 {
			if err := b.put("big", fmt.Sprint(i), big); (err != nil) != (i == maxPayloads>>20-1) {
				t.Errorf("payload %d: %v", i, err)
			}
		}
		if err := b.clock.change(t.Context(), key{"big", "1"}, func(*Alarm) (*Alarm, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		b.mustPut("big", "again", big)
	})
}

// What cannot be written is not fired, so that it is not fired twice.
func TestNoFiringWithoutItsNextTimeOnDisk(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"*/5 * * * *"}`)
		b.store.fail(store.ErrDiskFull)
		b.after(6*time.Minute + 5*time.Second)
		b.store.fail(nil)
		b.after(time.Minute, `ns/tick +6m10s {}`)
		b.after(3*time.Minute, `ns/tick +6m10s {}`, `ns/tick +10m0s {}`)
	})
}

func TestFeedsRefuse(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		for _, c := range []struct{ event, args, want string }{
			{"CREATE", `{"cron":"* * * * *","triggerName":"missing"}`, "Trigger authentication request failed"},
			{"CREATE", `{"triggerName":"/ns/"}`, "no trigger name parameter was provided"},
			{"CREATE", `{"timezone":1}`, "the parameters are not as they should be"},
			{"PAUSE", `{}`, "unsupported lifecycleEvent"},
			{"READ", `{}`, "could not find the trigger /ns/tick in the database"},
			{"UPDATE", `{"cron":"* * * * *"}`, "could not find the trigger"},
			{"DELETE", `{}`, "could not find the trigger"},
		} {
			if _, err := b.call(feedAlarm, c.event, c.args); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %s: %v, want %q", c.event, c.args, err, c.want)
			}
		}
		b.must(feedAlarm, "CREATE", `{"cron":"* * * * *"}`)
		if _, err := b.call(feedAlarm, "UPDATE", `{"minutes":3}`); err == nil || !strings.Contains(err.Error(), "no updatable parameters were specified") {
			t.Error(err)
		}
		b.must(feedAlarm, "DELETE", `{}`)
		b.after(time.Hour)
	})
}

// A trigger's name may carry a namespace; the alarm is the caller's own all the same.
func TestAlwaysTrue9AlarmFiresOnlyInTheCallersNamespace(t *testing.T) {
	inFakeTime(t, func(b *bench) {
		b.must(feedAlarm, "CREATE", `{"cron":"* * * * *","triggerName":"/other/tick","authKey":"other:key"}`)
		b.after(time.Minute, `ns/tick +1m0s {}`)
	})
}
