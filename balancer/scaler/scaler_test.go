package scaler

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFromZeroToZeroWithFakeDriver(t *testing.T) {
	c := newCloud()
	scaling(t, c, Config{}, func(*Scaler) {
		if n := c.after(time.Hour); n != 0 {
			t.Fatalf("%d machines though nobody asked", n)
		}
		c.wait(1)
		if n := c.after(time.Second); n != 1 {
			t.Fatalf("%d machines after the first call, want 1", n)
		}
		c.after(time.Minute) // it has joined
		c.set(func() { c.joined["m0"].Running, c.waiting = 1, 0 })
		if n := c.after(5 * time.Hour); n != 1 {
			t.Fatalf("%d machines while one is busy, want 1", n)
		}
		c.set(func() { c.joined["m0"].Running = 0 })
		if n := c.after(9 * time.Minute); n != 1 {
			t.Fatalf("%d machines 9 minutes after the run", n)
		}
		if n := c.after(2 * time.Minute); n != 0 {
			t.Fatalf("%d machines 11 minutes after the run, want 0", n)
		}
	})
}

func TestServersThatAreUsedBetweenLooksAreKeptWithFakeDriver(t *testing.T) {
	c := newCloud()
	scaling(t, c, Config{}, func(*Scaler) {
		c.wait(1)
		c.after(time.Minute)
		c.set(func() { c.waiting = 0 })
		for range 10 {
			c.set(func() { c.joined["m0"].Runs++ })
			if n := c.after(9 * time.Minute); n != 1 {
				t.Fatal("a server that is used all the time was stopped")
			}
		}
		c.set(func() { c.joined["m0"].Needed = true })
		if n := c.after(time.Hour); n != 1 {
			t.Fatal("a server with a leased function was stopped")
		}
	})
}

func TestMoreServersWhenRunsWaitWithFakeDriver(t *testing.T) {
	c := newCloud()
	scaling(t, c, Config{Max: 3}, func(s *Scaler) {
		c.wait(1)
		c.after(time.Minute)
		c.set(func() {
			c.waiting = 0
			c.joined["m0"].Running, c.joined["m0"].Queued = 4, 100
		})
		if n := c.after(2 * time.Second); n != 1 {
			t.Fatalf("%d machines after 2 s, want 1: they have waited for a moment only", n)
		}
		if n := c.after(5 * time.Second); n != 3 {
			t.Fatalf("%d machines, want the limit of 3", n)
		}
		c.after(time.Minute)
		for _, name := range []string{"m1", "m2"} {
			c.set(func() { c.joined[name].Running = 4 })
		}
		c.after(time.Hour)
		if b := c.book(); b.most != 3 || b.starts != 2 {
			t.Errorf("%d machines at most by %d starts, want 3 by 2", b.most, b.starts)
		}
		if why := s.Trouble([]string{"gpu"}); !strings.Contains(why, "--scale-max") {
			t.Errorf("the trouble is %q", why)
		}
	})
}

func TestAnIdleServerThatIsSetAsideIsNoHelpWithFakeDriver(t *testing.T) {
	c := newCloud()
	scaling(t, c, Config{Max: 2}, func(*Scaler) {
		c.wait(1)
		c.after(time.Minute)
		c.set(func() {
			c.waiting = 0
			c.joined["m0"].Running, c.joined["m0"].Queued = 4, 4
			c.joined["broken"] = &Server{ID: "broken-id", Name: "broken", Labels: []string{"gpu"}}
		})
		if n := c.after(time.Minute); n != 1 {
			t.Fatalf("%d machines while a server is idle, want 1", n)
		}
		c.set(func() { c.joined["broken"].Aside = true })
		if n := c.after(10 * time.Second); n != 2 {
			t.Errorf("%d machines while the idle server is set aside, want 2", n)
		}
	})
}

func TestStartsThatFailAreTriedEverMoreRarelyWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.err = errors.New("no credit")
	scaling(t, c, Config{}, func(s *Scaler) {
		c.wait(1)
		c.after(time.Minute)
		if b := c.book(); b.starts != 3 || b.reset != 1 {
			t.Errorf("%+v; want what waits to be refused after three failures", b)
		}
		for range 60 {
			c.wait(1) // somebody calls every minute
			c.after(time.Minute)
		}
		if b := c.book(); b.starts < 10 || b.starts > 25 {
			t.Errorf("%d starts in an hour", b.starts)
		}
		c.after(2 * time.Second)
		if _, ok := s.Serves([]string{"gpu"}, "python:3"); ok {
			t.Error("it is waited for while starts fail all the time")
		}
		if why := s.Trouble([]string{"gpu"}); !strings.Contains(why, "starting a server failed") || strings.Contains(why, "no credit") {
			t.Errorf("the trouble is %q", why)
		}
		c.set(func() { c.err = nil })
		time.Sleep(maxPause)
		if _, ok := s.Serves([]string{"gpu"}, "python:3"); !ok {
			t.Error("it is given up for ever")
		}
		c.wait(1)
		if c.after(10*time.Minute) != 1 {
			t.Error("it was not tried again")
		}
		if why := s.Trouble([]string{"gpu"}); why != "" {
			t.Errorf("there is still trouble: %s", why)
		}
	})
}

func TestMachinesThatDoNotJoinAreStoppedWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.boot = -1
	scaling(t, c, Config{StartTimeout: 5 * time.Minute}, func(s *Scaler) {
		c.wait(1)
		c.after(4 * time.Minute)
		if b := c.book(); b.starts != 1 || len(b.stops) != 0 {
			t.Fatalf("after 4 minutes: %+v", b)
		}
		c.after(2 * time.Minute)
		if b := c.book(); len(b.stops) != 1 || b.starts != 2 {
			t.Fatalf("after 6 minutes: %+v", b)
		}
		if why := s.Trouble([]string{"gpu"}); !strings.Contains(why, "did not join within 5m0s") {
			t.Errorf("the trouble is %q", why)
		}
	})
}

func TestNoMachineOfAnEarlierLifeIsForgottenWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.boot = -1
	c.machines = []Machine{{Server: "lost", Label: "gpu"}, {Server: "found", Label: "gpu"}, {Server: "other", Label: "cpu"}}
	c.joined["found"] = &Server{Name: "found", Labels: []string{"gpu"}, Running: 1}
	scaling(t, c, Config{}, func(*Scaler) {
		n, b := c.after(11*time.Minute), c.book()
		if n != 2 || len(b.stops) != 1 || b.stops[0] != "lost" {
			t.Errorf("%d machines after stops of %v, want only the one that never joined stopped", n, b.stops)
		}
		c.set(func() { c.joined["found"].Running = 0 })
		if n := c.after(11 * time.Minute); n != 1 {
			t.Errorf("%d machines; what is another label's is none of ours", n)
		}
	})
}

func TestStopsThatFailAreTriedAgainWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.stopErr = errors.New("try later")
	c.machines = []Machine{{Server: "m", Label: "gpu"}}
	c.joined["m"] = &Server{Name: "m", Labels: []string{"gpu"}}
	scaling(t, c, Config{}, func(*Scaler) {
		c.after(15 * time.Minute)
		if n := len(c.book().stops); n < 2 || n > 15 {
			t.Errorf("%d tries in 5 minutes", n)
		}
		c.set(func() { c.stopErr = nil })
		if c.after(time.Minute) != 0 {
			t.Error("it was not stopped in the end")
		}
	})
}

func TestDrainIsTakenBackWhenRunsComeWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.machines = []Machine{{Server: "m", Label: "gpu"}}
	c.joined["m"] = &Server{Name: "m", Labels: []string{"gpu"}}
	c.stopErr = errors.New("not now")
	scaling(t, c, Config{}, func(*Scaler) {
		drained := func() (is bool) {
			c.set(func() { is = c.joined["m"].Draining })
			return is
		}
		c.after(11 * time.Minute)
		if !drained() {
			t.Fatal("it is not drained")
		}
		c.wait(1)
		c.after(time.Second)
		if drained() || c.book().starts != 0 {
			t.Error("it is still drained, or another one was started")
		}
	})
}

func TestAKindThatTheServersLackIsRefusedWithFakeDriver(t *testing.T) {
	c := newCloud()
	c.lacking = true
	scaling(t, c, Config{}, func(s *Scaler) {
		if _, ok := s.Serves([]string{"gpu"}, "python:3"); !ok {
			t.Fatal("refused before anybody has seen a server")
		}
		c.wait(1)
		c.after(time.Minute)
		if b := c.book(); b.reset != 1 || b.starts != 1 {
			t.Errorf("%d starts, reconsidered %d times; want 1 and 1", b.starts, b.reset)
		}
		if _, ok := s.Serves([]string{"gpu"}, "python:3"); ok {
			t.Error("the kind that is lacking is still waited for")
		}
		if _, ok := s.Serves([]string{"gpu"}, "nodejs:20"); !ok {
			t.Error("another kind is not waited for any more")
		}
		time.Sleep(lackFor)
		if _, ok := s.Serves([]string{"gpu"}, "python:3"); !ok {
			t.Error("the kind is lacking for ever")
		}
	})
}

func TestAServerThatJoinsWithoutTheLabelIsNamedWithFakeDriver(t *testing.T) {
	c := newCloud()
	scaling(t, c, Config{}, func(s *Scaler) {
		c.wait(1)
		c.after(40 * time.Second)
		c.set(func() { c.joined["m0"].Labels = []string{"cpu"} })
		c.after(2 * time.Second)
		if why := s.Trouble([]string{"gpu"}); !strings.Contains(why, "server m0 was started for it, and has joined without") {
			t.Errorf("who waits is told: %q", why)
		}
		c.set(func() { c.joined["m0"].Labels = []string{"gpu"} })
		c.after(2 * time.Second)
		if why := s.Trouble([]string{"gpu"}); why != "" {
			t.Errorf("all is well, and who waits is told: %q", why)
		}
	})
}

func TestServesWhatItsLabelsCover(t *testing.T) {
	s, err := New(Config{Pools: []Pool{{Labels: []string{"a100", "gpu"}}, {Labels: []string{"cpu"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		labels []string
		want   bool
	}{{nil, true}, {[]string{"gpu"}, true}, {[]string{"a100", "gpu"}, true}, {[]string{"cpu", "gpu"}, false}, {[]string{"h100"}, false}} {
		if _, ok := s.Serves(tt.labels, "python:3"); ok != tt.want {
			t.Errorf("%v: %v", tt.labels, ok)
		}
	}
	if _, err := New(Config{Pools: []Pool{{Labels: []string{"a"}}, {Labels: []string{"a"}}}}); err == nil {
		t.Error("two pools with the same label are taken")
	}
	if _, err := New(Config{Idle: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
}
