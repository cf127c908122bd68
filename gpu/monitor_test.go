package gpu

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeSource says what it is told to, without a driver.
type fakeSource struct {
	mu      sync.Mutex
	devices []Device
	err     error
	usages  []Usage
	looks   int
	before  func() // called at each look, before anything is read
	closed  bool
}

func (s *fakeSource) say(err error, devices ...Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices, s.err = devices, err
}

func (s *fakeSource) Devices(context.Context) ([]Device, error) {
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	return s.devices, s.err
}

func (s *fakeSource) Processes(context.Context) ([]Usage, error) { return s.usages, nil }
func (s *fakeSource) Close() error                               { s.closed = true; return nil }
func (s *fakeSource) Name() string                               { return "a fake source" }

func TestMonitorKnowsFromTheStartFakeSource(t *testing.T) {
	s := &fakeSource{devices: []Device{small(gb), large(gb)}}
	m := NewMonitor(s, time.Hour, nil)
	if got := m.Snapshot(); len(got.Devices) != 2 || got.At.IsZero() || got.Err != nil {
		t.Errorf("got %+v", got)
	}
	if err := m.Close(); err != nil || !s.closed {
		t.Errorf("closed is %v, %v", s.closed, err)
	}
	if _, err := m.Refresh(t.Context()); err == nil {
		t.Error("a closed monitor looks")
	}
}

func TestMonitorLooksAgainFakeSource(t *testing.T) {
	s := &fakeSource{devices: []Device{small(gb)}}
	m := NewMonitor(s, time.Millisecond, nil)
	defer m.Close()
	s.say(nil, small(2*gb))
	eventually(t, "it is seen without being asked for", func() bool { return m.Snapshot().Devices[0].Free == 2*gb })
}

// Who asks while a look is under way gets the next one: that one may have read too early.
func TestRefreshIsNeverOlderThanTheQuestionFakeSource(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	s := &fakeSource{devices: []Device{small(gb)}}
	m := NewMonitor(s, time.Hour, nil)
	defer m.Close()
	s.before = func() { entered <- struct{}{}; <-release }
	first := make(chan Snapshot, 1)
	go func() { got, _ := m.Refresh(t.Context()); first <- got }()
	<-entered
	second := make(chan Snapshot, 1)
	go func() { got, _ := m.Refresh(t.Context()); second <- got }()
	release <- struct{}{}
	got := <-first
	if len(got.Devices) != 1 {
		t.Errorf("got %+v", got)
	}
	<-entered
	release <- struct{}{}
	if later := <-second; !later.At.After(got.At) {
		t.Errorf("the second look was at %v, the first at %v", later.At, got.At)
	}
}

func TestMonitorOfADriverThatFailsFakeSource(t *testing.T) {
	s := &fakeSource{devices: []Device{small(gb), large(gb)}}
	m := NewMonitor(s, time.Hour, nil)
	defer m.Close()
	s.say(errors.New("the bus is off"))
	_, err := m.Refresh(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the bus is off") {
		t.Errorf("got the error %v", err)
	}
	if got := m.Snapshot(); len(got.Devices) != 2 || got.Err == nil {
		t.Errorf("just after the failure: %+v", got)
	}
	s.say(errors.New("GPU 0 is lost"), large(gb))
	got, err := m.Refresh(t.Context())
	if err != nil || len(got.Devices) != 1 || got.Err == nil {
		t.Errorf("one of two: %+v, %v", got, err)
	}
	s.say(nil, small(gb), large(gb))
	got, err = m.Refresh(t.Context())
	if err != nil || len(got.Devices) != 2 || got.Err != nil {
		t.Errorf("both again: %+v, %v", got, err)
	}
}

func TestGPUsOfADriverThatFailsForLongAreGone(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	before := Snapshot{At: at, Devices: []Device{small(gb)}, Processes: []Usage{{"GPU-small", 1, 1}}}
	why := errors.New("why")
	if got := failed(before, why, at.Add(goneAfter)); len(got.Devices) != 1 || got.Err != why {
		t.Errorf("got %+v", got)
	}
	if got := failed(before, why, at.Add(goneAfter+1)); len(got.Devices) != 0 || len(got.Processes) != 0 || got.At != at {
		t.Errorf("got %+v", got)
	}
}

func TestCloseDoesNotWaitForADriverThatHangs(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(gb)})
		s := open(t, d.options())
		m := NewMonitor(keepOpen{s}, 0, nil)
		d.hang()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for err := error(nil); err == nil; { // until a look hangs
			_, err = m.Refresh(ctx)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		d.say(nil) // so that the source can end
	})
}

// keepOpen is a source that somebody else closes.
type keepOpen struct{ Source }

func (keepOpen) Close() error { return nil }

func TestMemoryThatComesBackLate(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(20 * gb), large(5 * gb)})
		m := watchDriver(t, d)
		back := make(chan error, 1)
		go func() { back <- m.MemoryBack(t.Context(), "GPU-large", 70*gb) }()
		for _, free := range []int64{5, 30, 69} {
			d.say([]Device{small(20 * gb), large(free * gb)})
			eventually(t, "it is looked at", func() bool {
				g, _ := m.Snapshot().Device("GPU-large")
				return g.Free == free*gb
			})
			select {
			case err := <-back:
				t.Fatalf("with %d GB: %v", free, err)
			default:
			}
		}
		d.say([]Device{small(20 * gb), large(72 * gb)})
		select {
		case err := <-back:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("still waiting")
		}
		if g, _ := m.Snapshot().Device("GPU-large"); g.Free != 72*gb {
			t.Errorf("the snapshot is old: %+v", g)
		}
	})
}

func TestMemoryThatNeverComesBackFakeSource(t *testing.T) {
	s := &fakeSource{devices: []Device{small(3 * gb)}}
	m := watch(t, s)
	for name, c := range map[string]struct {
		uuid string
		want int64
		say  string
	}{
		"nothing is waited for":     {"GPU-small", 0, ""},
		"it is there":               {"GPU-small", 3 * gb, ""},
		"more than there is":        {"GPU-small", 25 * gb, "are never free"},
		"a GPU that is not here":    {"GPU-large", gb, "is not here"},
		"until the caller gives up": {"GPU-small", 20 * gb, "3072 MB are free and not 20480 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if c.say == "" || strings.Contains(c.say, "never") || strings.Contains(c.say, "not here") {
				ctx = t.Context()
			}
			err := m.MemoryBack(ctx, c.uuid, c.want)
			if (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v, want %q in it", err, c.say)
			}
		})
	}
}

func TestLoadsOnOneGPUAreSerialised(t *testing.T) {
	m := watch(t, &fakeSource{})
	loads := 0 // no lock: the race detector would tell
	done := make(chan error)
	for i := range 40 {
		uuids := [][]string{{"GPU-1", "GPU-2"}, {"GPU-2", "GPU-1", "GPU-2"}, {"GPU-2"}, {"GPU-3", "GPU-2"}}[i%4]
		go func() {
			unlock, err := m.Lock(t.Context(), uuids)
			if err == nil {
				loads++
				unlock()
				unlock() // a second time does nothing
			}
			done <- err
		}()
	}
	for range 40 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if loads != 40 {
		t.Errorf("%d loads", loads)
	}
}

func TestWhoGivesUpALockLeavesNothingLocked(t *testing.T) {
	m := watch(t, &fakeSource{})
	unlock, err := m.Lock(t.Context(), []string{"GPU-2"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.Lock(ctx, []string{"GPU-1", "GPU-2"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	other, err := m.Lock(t.Context(), []string{"GPU-1"})
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
}

func TestMeter(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(20 * gb), large(60 * gb)})
		m := watchDriver(t, d)
		unlock, err := m.Lock(t.Context(), []string{"GPU-large", "GPU-small"})
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		meter, err := m.Before(t.Context(), []string{"GPU-large", "GPU-small"})
		if err != nil {
			t.Fatal(err)
		}
		d.say([]Device{small(21 * gb), large(45 * gb)})
		eventually(t, "the load is measured", func() bool {
			took, err := meter.After(t.Context())
			return err == nil && took["GPU-large"] == 15*gb && took["GPU-small"] == 0
		})
		if _, err := m.Before(t.Context(), []string{"GPU-gone"}); err == nil {
			t.Error("a GPU that is not here was measured")
		}
	})
}

func TestPIDsAreVisibleIfOursIsNamed(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		child := realChild(t)
		d.say([]Device{small(gb)}, Usage{"GPU-small", 1, gb}, Usage{"GPU-small", 1 << 22, gb})
		s := open(t, d.options())
		if m := NewMonitor(keepOpen{s}, time.Hour, nil); m.Snapshot().PIDsVisible || len(m.Snapshot().Processes) != 2 {
			t.Errorf("others' processes only: %+v", m.Snapshot())
		} else if err := m.Close(); err != nil {
			t.Error(err)
		}
		d.say([]Device{small(gb)}, Usage{"GPU-small", 1, gb}, Usage{"GPU-small", child, 2 * gb}, Usage{"GPU-large", child, 3 * gb})
		m := watchDriver(t, d)
		got := m.Snapshot()
		if !got.PIDsVisible {
			t.Errorf("one is ours: %+v", got)
		}
		for _, root := range []int{child, os.Getpid()} {
			if used := got.UsedBy(root); used["GPU-small"] != 2*gb {
				t.Errorf("%d has %v", root, used)
			}
		}
	})
}

func TestDescendsFrom(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	child, me := realChild(t), os.Getpid()
	for _, c := range []struct {
		pid, root int
		want      bool
	}{
		{child, me, true}, {me, me, true}, {me, os.Getppid(), true}, {me, child, false}, {os.Getppid(), me, false},
		{1 << 22, me, false}, {0, 0, false}, {-1, me, false},
	} {
		if got := descendsFrom(c.pid, c.root); got != c.want {
			t.Errorf("%d from %d: got %v", c.pid, c.root, got)
		}
	}
}

func TestMissing(t *testing.T) {
	got := missing([]Device{small(1), large(1)}, Snapshot{Devices: []Device{large(2)}})
	if !slices.Equal(got, []Device{small(1)}) {
		t.Errorf("got %v", got)
	}
}
