package balancer

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestSlotsShrinkWhenAServerIsBusy(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 4))
	id, claim := lease(t, b, specOf("hello"))
	hold := make(chan struct{})
	h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
		waitFor(t, "the run", func() bool { return h.ran() == i+1 })
	}
	h.set(func() {
		h.silent = true // else a report says more at once
		h.runErr = func(int) error { return function.Errorf(function.CodeBusy, "no worker free") }
	})
	_, err := run(t, b, id, claim, "2")
	wantCode(t, err, function.CodeBusy)
	b.mu.Lock()
	slots := b.members["a"].holders[id].Slots
	b.mu.Unlock()
	if slots != 2 {
		t.Errorf("%d slots after it was busy with two runs", slots)
	}
	h.set(func() { h.runErr, h.silent = nil, false })
	wg.Go(func() { mustRun(t, b, id, claim, "3") })
	h.slotsAt(id, 7, 2) // says more
	waitFor(t, "the third run", func() bool { return h.ran() == 3 })
	close(hold)
	wg.Wait()
}

// Two balancers over the same server see each other's runs by its reports.
func TestOthersRunsCountByTheReport(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 4))
	id, claim := lease(t, b, specOf("hello"))
	h.slotsAt(id, 4, 3) // all of them somebody else's
	knows(t, b, h, id, 4)
	b.mu.Lock()
	site := b.members["a"].holders[id]
	load, others := site.Load, site.others
	b.mu.Unlock()
	if load != 3 || others != 3 {
		t.Errorf("the load is %d, %d of it others'", load, others)
	}
	var wg sync.WaitGroup
	h.slotsAt(id, 4, 400) // they must not keep us out
	for range 8 {
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
	}
	wg.Wait()
}

func TestTallyCountsOnlyWhatCannotBeOurs(t *testing.T) {
	var c tally
	c.sent()
	c.sent()
	c.ended()
	c.reported(5) // two of them may have been ours
	if c.others != 3 || c.load() != 4 {
		t.Errorf("%+v", c)
	}
	c.reported(1) // ours
	if c.others != 0 || c.load() != 1 {
		t.Errorf("%+v", c)
	}
	c.ended()
	c.reported(1) // it was there a moment ago
	if c.load() != 0 {
		t.Errorf("%+v", c)
	}
	c.reported(1)
	if c.load() != 1 {
		t.Errorf("%+v", c)
	}
}

func TestAServerThatFailsIsSetAsideAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		calls := 0
		h.set(func() {
			h.runErr = func(int) error {
				calls++
				return function.Errorf(function.CodeUnreachable, "connection refused")
			}
		})
		begin := time.Now()
		_, err := run(t, b, id, claim, "1")
		e := function.AsError(err)
		if took := time.Since(begin); took < 25*time.Second || took > time.Minute || calls < 4 || calls > 30 {
			t.Errorf("%d calls in %v, then %v", calls, took, err)
		}
		if e.Code != function.CodeUnreachable && !strings.Contains(e.Message, "set aside (a for ") {
			t.Errorf("%+v", e)
		}
		h.set(func() { h.runErr = nil })
		begin = time.Now()
		mustRun(t, b, id, claim, "2") // there is no other server, so it need not wait for long
		if took := time.Since(begin); took > lastHope {
			t.Errorf("the only server was tried again only after %v", took)
		}
		b.mu.Lock()
		again := b.members["a"].host.Breaker.RetryAt()
		b.mu.Unlock()
		if !again.IsZero() {
			t.Error("still set aside after a run that worked")
		}
	})
}

// A member that leaves as soon as it has come is set aside, also when it comes again.
func TestAFlappingServerIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		for range 4 {
			h := join(t, b, newFake("a", 1))
			h.cutNow()
			<-h.done
			time.Sleep(100 * time.Millisecond)
		}
		good := join(t, b, newFake("c", 1))
		bad := join(t, b, newFake("a", 1))
		for _, name := range []string{"f", "g", "h", "i"} {
			lease(t, b, specOf(name))
		}
		if bad.inited() != 0 || good.inited() != 4 {
			t.Errorf("%d starts at the flapping one, %d at the good one", bad.inited(), good.inited())
		}
		b.mu.Lock()
		again := b.members["a"].host.Breaker.RetryAt()
		b.mu.Unlock()
		if again.IsZero() {
			t.Error("nothing is held against it")
		}
	})
}

// A member whose connection breaks each second is set aside however many runs it does in between, and
// though it still has what it had. Once it stays, it is used again.
func TestAServerThatComesAndGoesIsUsedOnceItStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		bad := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		good := join(t, b, newFake("c", 1))
		for range 8 {
			for range 50 {
				mustRun(t, b, id, claim, "1")
			}
			time.Sleep(time.Second)
			bad.cutNow()
			<-bad.done
			bad = joinAgain(t, b, bad, id)
		}
		if !server(t, b, "a").Aside || server(t, b, "c").Aside {
			t.Error("a scaler is told otherwise")
		}
		if all := b.Status().Servers; !all[0].Aside || all[1].Aside {
			t.Error("the status says otherwise")
		}
		mustRun(t, b, id, claim, "2")
		if n := bad.ran(); n > 0 {
			t.Errorf("%d runs at the server that flaps", n)
		}
		b.mu.Lock()
		again := b.members["a"].host.Breaker.RetryAt()
		b.mu.Unlock()
		time.Sleep(time.Until(again))
		var wg sync.WaitGroup
		bad.set(func() { bad.onRun = func(*function.Activation) { time.Sleep(time.Second) } })
		good.set(func() { good.onRun = func(*function.Activation) { time.Sleep(time.Second) } })
		for range 6 { // more than the good one takes at once
			wg.Go(func() { mustRun(t, b, id, claim, "3") })
		}
		wg.Wait()
		if bad.ran() == 0 {
			t.Error("it stayed, and no run came")
		}
	})
}

// A server where each run is ended at its time limit counts as slow, and runs go elsewhere.
func TestAServerThatGetsNothingDoneIsPassedOver(t *testing.T) {
	b := open(t, Config{})
	hosts := []*joined{join(t, b, newFake("a", 4))}
	id, claim := lease(t, b, specOf("hello"))
	hosts = append(hosts, join(t, b, newFake("c", 4)))
	b.mu.Lock()
	b.start(b.functions[id], b.members["c"].host, time.Now())
	b.mu.Unlock()
	waitFor(t, "both to have it", func() bool { return hosts[1].inited() == 1 && len(b.functionSites(id)) == 2 })
	answer := func(o function.Outcome, took time.Duration) func(string) *function.Summary {
		return func(string) *function.Summary {
			sum := function.Summary{Outcome: o}
			sum.Passed("function", took)
			return &sum
		}
	}
	for _, h := range hosts {
		h.set(func() { h.summary = answer(function.OutcomeOK, 100*time.Millisecond) })
	}
	for range 10 {
		mustRun(t, b, id, claim, "1")
	}
	home, other := hosts[0], hosts[1]
	if other.ran() > 0 {
		home, other = other, home
	}
	home.set(func() { home.summary = answer(function.OutcomeTimeout, time.Minute) })
	for range 10 {
		if _, err := run(t, b, id, claim, "2"); err != nil {
			t.Fatal(err)
		}
	}
	if other.ran() == 0 {
		t.Error("all runs still go where none gets done")
	}
}

// The only server is used also when its connection breaks again and again.
func TestTheOnlyServerIsUsedThoughItComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		for range 8 {
			begin := time.Now()
			mustRun(t, b, id, claim, "1")
			if took := time.Since(begin); took != 0 {
				t.Errorf("a run took %v", took)
			}
			time.Sleep(time.Second)
			h.cutNow()
			<-h.done
			h = joinAgain(t, b, h, id)
		}
		b.mu.Lock()
		flaps := b.members["a"].host.Breaker.Flapping()
		b.mu.Unlock()
		if !flaps {
			t.Error("it does not count as one that flaps")
		}
	})
}

// joinAgain is the same server with a new connection: it still has its functions, and says so.
func joinAgain(t *testing.T, b *Balancer, h *joined, has function.ID) *joined {
	again := newFake(h.name, 1)
	again.code, again.leases = h.code, h.leases
	again.status.Functions = []function.FunctionStatus{{ID: has, Server: h.name, State: "ready"}}
	j := join(t, b, again)
	synctest.Wait() // it is adopted
	return j
}

// A server that was told to end, and did so in good order, is not held to flap.
func TestAServerThatIsStoppedAndStartedIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		join(t, b, newFake("c", 1))
		for range 6 {
			h := join(t, b, newFake("a", 1))
			h.set(func() { h.status.Servers[0].Draining = true })
			synctest.Wait()
			h.cutNow()
			<-h.done
		}
		join(t, b, newFake("a", 1))
		b.mu.Lock()
		defer b.mu.Unlock()
		if breaker := &b.members["a"].host.Breaker; !breaker.Allows(time.Now()) {
			t.Error("it is set aside")
		}
	})
}

// Runs that are lost at one moment are one failure, and who comes back after a long stay begins anew.
func TestAServerThatDiedAndCameBackIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 4))
		id, claim := lease(t, b, specOf("hello"))
		time.Sleep(time.Minute)
		h.set(func() {
			h.onRun = func(*function.Activation) { <-h.cut.Done() }
			h.summary = func(string) *function.Summary { return &function.Summary{Outcome: function.OutcomeLost} }
		})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if sum, err := run(t, b, id, claim, "1"); err != nil || sum.Outcome != function.OutcomeLost {
					t.Errorf("%+v, %v", sum, err)
				}
			})
		}
		synctest.Wait()
		h.cutNow()
		wg.Wait()
		<-h.done
		back := join(t, b, newFake("a", 4))
		begin := time.Now()
		mustRun(t, b, id, claim, "2")
		if took := time.Since(begin); took != 0 || back.ran() != 1 {
			t.Errorf("%d runs after %v", back.ran(), took)
		}
	})
}

// A function that was started on two servers is given up at one when one is enough.
func TestAFunctionShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		hosts := []*joined{join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))}
		id, claim := lease(t, b, specOf("hello"))
		hold := make(chan struct{})
		for _, h := range hosts {
			h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { mustRun(t, b, id, claim, "1") })
		}
		for range 100 {
			time.Sleep(50 * time.Millisecond)
			if hosts[0].ran() > 0 && hosts[1].ran() > 0 {
				break
			}
		}
		close(hold)
		wg.Wait()
		if hosts[0].liveLeases(id) != 1 || hosts[1].liveLeases(id) != 1 {
			t.Fatal("eight runs did not spread over two servers with four slots each")
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n := hosts[0].liveLeases(id) + hosts[1].liveLeases(id); n != 1 {
			t.Errorf("it is held at %d servers after a long rest", n)
		}
		mustRun(t, b, id, claim, "2")
	})
}

// While a further server fails to start the function, it runs where it is ready.
func TestAStartThatFailsElsewhereHoldsUpNobody(t *testing.T) {
	b := open(t, Config{})
	hosts := []*joined{join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))}
	id, claim := lease(t, b, specOf("hello"))
	good, bad := hosts[0], hosts[1]
	if good.inited() == 0 {
		good, bad = bad, good
	}
	bad.set(func() {
		bad.initErr = func(context.Context) error { return function.Errorf(function.CodeBusy, "no room") }
	})
	good.set(func() { good.onRun = func(*function.Activation) { time.Sleep(5 * time.Millisecond) } })
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
	}
	wg.Wait()
	if good.ran() != 40 {
		t.Errorf("%d runs where it is ready", good.ran())
	}
}

func TestRefusalSaysWhatIsFull(t *testing.T) {
	b := open(t, Config{})
	h := newFake("a", 1)
	h.status.Servers[0].Memory = function.Memory{Budget: 1 << 30, Room: 1 << 30}
	join(t, b, h)
	spec := specOf("hello")
	spec.Require.Memory = 2 << 30
	put(t, b, spec)
	_, err := b.Init(t.Context(), spec, function.Lease{ID: "l"})
	e := function.AsError(err)
	want := `/guest/hello cannot run now: of the 1 server with the kind "python:3", 1 would not have the memory for one worker even if it were all free (a)`
	if e.Code != function.CodeNoCapacity || e.Message != want {
		t.Errorf("%+v", e)
	}
}

// The only server says that it has no room now. It is asked all the same: it knows who must yield.
func TestTheOnlyServerIsAskedThoughItSaysThatItIsFull(t *testing.T) {
	b := open(t, Config{})
	h := newFake("a", 1)
	h.status.Servers[0].Memory = function.Memory{Budget: 1 << 30, Room: 1}
	join(t, b, h)
	id, claim := lease(t, b, specOf("hello"))
	mustRun(t, b, id, claim, "1")
}

func TestRoomIsTakenWhereItIs(t *testing.T) {
	b := open(t, Config{})
	full, roomy := newFake("a", 8), newFake("c", 1)
	full.status.Servers[0].Memory = function.Memory{Budget: 1 << 30, Room: 1}
	roomy.status.Servers[0].Memory = function.Memory{Budget: 1 << 30, Room: 600 << 20}
	join(t, b, full)
	join(t, b, roomy)
	for _, name := range []string{"f", "g"} {
		lease(t, b, specOf(name))
	}
	if full.inited() != 0 || roomy.inited() != 2 {
		t.Errorf("%d starts at the full one, %d at the other", full.inited(), roomy.inited())
	}
}

func TestRetireRefusesWhatWaitsAndLetsRunsEnd(t *testing.T) {
	b, h, id, claim, hold := oneSlot(t, Config{})
	var wg sync.WaitGroup
	wg.Go(func() { mustRun(t, b, id, claim, "1") })
	waitFor(t, "the run", func() bool { return h.ran() == 1 })
	wg.Go(func() {
		_, err := run(t, b, id, claim, "2")
		wantCode(t, err, function.CodeDraining)
	})
	waitFor(t, "the second to wait", func() bool { return b.waiting() == 1 })
	drained := make(chan error, 1)
	go func() { drained <- b.Retire(context.Background()) }()
	waitFor(t, "the second to be refused", func() bool { return b.waiting() == 0 })
	_, err := run(t, b, id, claim, "3")
	wantCode(t, err, function.CodeDraining)
	if st := b.Status(); len(st.Servers) != 1 || !st.Servers[0].Draining {
		t.Errorf("%+v", st.Servers)
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with a run in flight: %v", err)
	default:
	}
	close(hold)
	wg.Wait()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Retire(short); err != nil {
		t.Errorf("nothing runs any more, but: %v", err)
	}
}
