package store

import (
	"errors"
	"reflect"
	"testing"
)

func TestAlarmsAreKept(t *testing.T) {
	onEach(t, func(t *testing.T, at place) {
		s, ctx := at.open(t), t.Context()
		one := Alarm{"a", "tick", []byte(`{"cron":"* * * * *"}`)}
		other := Alarm{"b", "tick", []byte("{\"payload\":\"\x00\xff\"}")}
		changed := Alarm{"a", "tick", []byte(`{"minutes":1}`)}
		for _, a := range []Alarm{other, one, changed} {
			if err := s.PutAlarm(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		expectAlarms(t, s, changed, other)
		changed.Doc = []byte(`{"minutes":2}`)
		if err := s.ChangeAlarm(ctx, changed); err != nil {
			t.Fatal(err)
		}
		if err := s.ChangeAlarm(ctx, Alarm{"a", "never", []byte("{}")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("changing what is not there: %v", err)
		}
		for trigger, want := range map[string]bool{"tick": true, "never": false} {
			if has, err := s.HasAlarm(ctx, "a", trigger); has != want || err != nil {
				t.Errorf("%s is there: %v, %v", trigger, has, err)
			}
		}
		expectAlarms(t, s, changed, other)
		if err := s.DeleteAlarm(ctx, "a", "tick"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAlarm(ctx, "a", "never"); err != nil {
			t.Errorf("removing what is not there: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		expectAlarms(t, at.open(t), other)
	})
}

func expectAlarms(t *testing.T, s *Database, want ...Alarm) {
	t.Helper()
	got, err := s.Alarms(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("alarms: %q, %v, want %q", got, err, want)
	}
}
