package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/server"
)

const (
	gb = 1 << 30
	// driverKeeps is what the driver itself has of each GPU.
	driverKeeps = 256 << 20
	// lookEvery is how often the driver is asked.
	lookEvery = 20 * time.Millisecond
)

// A fakeGPUs stands for a driver. What is held there changes only when a test says so.
type fakeGPUs struct {
	mu      sync.Mutex
	devices []gpu.Device
	held    map[string]int64 // bytes that functions or others hold, by UUID
	usages  []gpu.Usage
	lost    error
	hangs   chan struct{} // until it is closed, the driver does not answer; nil: it does
	looks   int
}

// twoFakeGPUs are unequal.
func twoFakeGPUs() *fakeGPUs {
	return &fakeGPUs{held: map[string]int64{}, devices: []gpu.Device{
		{UUID: "GPU-large", Name: "NVIDIA A100-SXM4-80GB", Index: 0, Total: 80 * gb},
		{UUID: "GPU-small", Name: "NVIDIA GeForce RTX 4090", Index: 1, Total: 24 * gb},
	}}
}

func oneFakeGPU() *fakeGPUs {
	d := twoFakeGPUs()
	d.devices = d.devices[1:]
	return d
}

func (d *fakeGPUs) Name() string { return "a fake" }
func (d *fakeGPUs) Close() error { return nil }

func (d *fakeGPUs) Devices(ctx context.Context) ([]gpu.Device, error) {
	d.mu.Lock()
	hangs := d.hangs
	d.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	if d.lost != nil {
		return nil, d.lost
	}
	all := slices.Clone(d.devices)
	for i := range all {
		all[i].Used = driverKeeps + d.held[all[i].UUID]
		all[i].Free = all[i].Total - all[i].Used
	}
	return all, nil
}

func (d *fakeGPUs) Processes(context.Context) ([]gpu.Usage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.usages), nil
}

// hold changes what is held of a GPU, and by which processes as far as the driver names them.
func (d *fakeGPUs) hold(uuid string, bytes int64, by ...gpu.Usage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[uuid], d.usages = bytes, by
}

// lose makes the driver fail; with nil it works again.
func (d *fakeGPUs) lose(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = err
}

// hang makes the driver answer nothing until the returned function is called.
func (d *fakeGPUs) hang() (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	hangs := make(chan struct{})
	d.hangs = hangs
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hangs = nil
		close(hangs)
	}
}

// have replaces the GPUs.
func (d *fakeGPUs) have(devices ...gpu.Device) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.devices = devices
}

// lookedAgain waits until the driver has been asked many times more: who wrongly did not wait for it
// would have gone on meanwhile.
func (d *fakeGPUs) lookedAgain(t *testing.T) {
	t.Helper()
	count := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.looks
	}
	before := count()
	eventually(t, "the driver is asked", func() bool { return count() > before+50 })
}

// loader is a function whose start can be watched: it notes its begin and its end in the file NOTES, and
// between them waits for the file GATE. A run notes that it began, and waits for the file that it is told.
const loader = `
import os, time
def note(what):
    with open(os.environ["NOTES"], "a") as f: f.write(what + " " + os.environ["__OW_ACTION_NAME"].split("/")[-1] + "\n")
note("begin")
while "GATE" in os.environ and not os.path.exists(os.environ["GATE"]): time.sleep(0.005)
TOKEN = os.urandom(8).hex()
note("end")
def main(args):
    note("run")
    while "gate" in args and not os.path.exists(args["gate"]): time.sleep(0.005)
    return {"token": TOKEN, "env": dict(os.environ)}
`

// A gpuHost is a server with fake GPUs.
type gpuHost struct {
	*host
	driver *fakeGPUs
	notes  string
}

func openWithGPUs(t *testing.T, d *fakeGPUs, knobs ...func(*server.Config)) *gpuHost {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	m := gpu.NewMonitor(d, lookEvery, nil)
	t.Cleanup(func() { m.Close() }) // after the server's
	with := func(c *server.Config) { c.GPUs, c.Shared = m, []string{dir} }
	h := &gpuHost{host: open(t, append(knobs, with)...), driver: d, notes: filepath.Join(dir, "notes")}
	for _, namespace := range []string{"guest", "other"} {
		if err := h.PutCode(t.Context(), namespace, function.DigestOf([]byte(loader)), strings.NewReader(loader)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// path is of a file that functions see.
func (h *gpuHost) path(name string) string { return filepath.Join(filepath.Dir(h.notes), name) }

// noted counts a line of the notes.
func (h *gpuHost) noted(line string) int { return strings.Count(h.text(), line+"\n") }

func (h *gpuHost) text() string {
	h.t.Helper()
	text, err := os.ReadFile(h.notes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	return string(text)
}

// loads is a function, whose code is loader.
func (h *gpuHost) loads(action string, r function.Requirements, change ...func(*function.Spec)) function.Spec {
	return python(func(s *function.Spec) {
		s.Action, s.Code, s.Require = action, function.DigestOf([]byte(loader)), r
		s.Env = map[string]string{"NOTES": h.notes, "MARKER": h.notes + action}
		for _, c := range change {
			c(s)
		}
	})
}

// gated makes the function's start wait for a file.
func (h *gpuHost) gated(s *function.Spec) { s.Env["GATE"] = h.path("start-" + s.Action) }

// A granted is an Init that came back.
type granted struct {
	id  function.ID
	err error
}

// begin asks for the function, and does not wait for it.
func (h *gpuHost) begin(spec function.Spec) <-chan granted {
	done := make(chan granted, 1)
	lease := function.Lease{ID: function.NewLeaseID()}
	ctx := h.t.Context()
	go func() {
		id, err := h.Init(ctx, spec, lease)
		h.mu.Lock()
		h.claim[id] = function.Claim{Lease: lease.ID, Namespace: spec.Namespace}
		h.mu.Unlock()
		done <- granted{id, err}
	}()
	return done
}

// soon waits for what must come.
func soon[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("not reached")
	}
}

// up makes the function ready.
func (h *gpuHost) up(spec function.Spec) function.ID {
	h.t.Helper()
	g := soon(h.t, spec.Action+" is ready", h.begin(spec))
	if g.err != nil {
		h.t.Fatalf("%s: %v\n%s", spec.Action, g.err, function.AsError(g.err).Logs)
	}
	return g.id
}

// grantedTo runs the function and returns what it sees in CUDA_VISIBLE_DEVICES.
func (h *gpuHost) grantedTo(id function.ID) string {
	h.t.Helper()
	a, _ := h.run(id, `{}`)
	uuids, set := a.Env["CUDA_VISIBLE_DEVICES"]
	if !set {
		h.t.Error("CUDA_VISIBLE_DEVICES is not set, so CUDA would see every GPU")
	}
	return uuids
}

// stay begins a run that goes on until the returned function is called, which returns its answer.
func (h *gpuHost) stay(id function.ID, action string) (end func() answer) {
	h.t.Helper()
	gate := h.path("run-" + function.NewLeaseID())
	before := h.noted("run " + action)
	type ended struct {
		a   answer
		sum function.Summary
		err error
	}
	done := make(chan ended, 1)
	go func() {
		a, sum, err := h.try(context.Background(), id, fmt.Sprintf(`{"gate":%q}`, gate), 2*patience)
		done <- ended{a, sum, err}
	}()
	eventually(h.t, "a run of "+action, func() bool { return h.noted("run "+action) > before })
	return func() answer {
		h.t.Helper()
		touch(h.t, gate)
		e := soon(h.t, "the end of a run of "+action, done)
		if e.err != nil || e.sum.Outcome != function.OutcomeOK {
			h.t.Fatalf("%s: %+v, %v", action, e.sum, e.err)
		}
		return e.a
	}
}

// workersOf is how many a function has.
func workersOf(s function.Status, action string) int {
	for _, f := range s.Functions {
		if f.Action == action {
			return f.Workers
		}
	}
	return 0
}

func memory(bytes int64) function.Requirements { return function.Requirements{GPUMemory: bytes} }

func TestAdmissionToFakeGPUs(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	for name, c := range map[string]struct {
		r     function.Requirements
		words []string
	}{
		"more than any has":      {memory(100 * gb), []string{"102400 MB", "here are 0"}},
		"what the driver keeps":  {memory(80 * gb), []string{"81920 MB", "here are 0"}},
		"more than the two have": {function.Requirements{GPUs: 3}, []string{"3 GPU(s)", "here are 2"}},
		"two large ones":         {function.Requirements{GPUs: 2, GPUMemory: 40 * gb}, []string{"2 GPU(s)", "40960 MB", "here are 1"}},
		"another model":          {function.Requirements{Labels: []string{"h200"}}, []string{"h200", "a100", "rtx-4090"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Init(t.Context(), h.loads("f", c.r), function.Lease{ID: function.NewLeaseID()})
			wantCode(t, err, function.CodeNoCapacity)
			for _, words := range c.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in %q", words, err)
				}
			}
		})
	}
}

func TestPlacementOnFakeGPUs(t *testing.T) {
	for name, c := range map[string]struct {
		r    function.Requirements
		want string
	}{
		"without":       {function.Requirements{}, ""},
		"8 GB":          {memory(8 * gb), "GPU-small"},
		"40 GB":         {memory(40 * gb), "GPU-large"},
		"23 GB":         {memory(23 * gb), "GPU-small"},
		"a whole one":   {function.Requirements{GPUs: 1}, "GPU-large"},
		"by label":      {function.Requirements{Labels: []string{"gpu"}}, "GPU-large"},
		"by model":      {function.Requirements{Labels: []string{"rtx-4090"}}, "GPU-large"}, // any of this machine's
		"both":          {function.Requirements{GPUs: 2}, "GPU-large,GPU-small"},
		"20 GB of both": {function.Requirements{GPUs: 2, GPUMemory: 20 * gb}, "GPU-small,GPU-large"},
		"other label":   {function.Requirements{Labels: []string{"region=eu"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := openWithGPUs(t, twoFakeGPUs())
			if got := h.grantedTo(h.up(h.loads("f", c.r))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFunctionsShareFakeGPUsAsFarAsTheyDeclare(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	// Two fit on the small one; the third goes to the large one.
	for i, want := range []string{"GPU-small", "GPU-small", "GPU-large"} {
		if got := h.grantedTo(h.up(h.loads(fmt.Sprint("f", i), memory(10*gb)))); got != want {
			t.Errorf("function %d got %q, want %q", i, got, want)
		}
	}
}

func TestUndeclaredHasAWholeFakeGPUAndOneWorkerOnEach(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	whole := h.up(h.loads("whole", function.Requirements{GPUs: 1}))
	first := h.stay(whole, "whole")
	second := h.stay(whole, "whole") // grows
	third := make(chan error, 1)
	go func() {
		_, _, err := h.try(context.Background(), whole, `{}`, patience)
		third <- err
	}()
	small := h.begin(h.loads("small", memory(gb)))
	h.status("one waits", func(s function.Status) bool { return len(s.Functions) == 2 && s.Servers[0].Queued == 1 })
	h.driver.lookedAgain(t)
	if h.noted("begin whole") != 2 || h.noted("begin small") != 0 {
		t.Errorf("two GPUs, and these were started:\n%s", h.text())
	}
	a, b := first(), second()
	got := []string{a.Env["CUDA_VISIBLE_DEVICES"], b.Env["CUDA_VISIBLE_DEVICES"]}
	slices.Sort(got)
	if !slices.Equal(got, []string{"GPU-large", "GPU-small"}) {
		t.Errorf("the two workers have %v", got)
	}
	if err := soon(t, "the third run", third); err != nil {
		t.Error(err)
	}
	if g := soon(t, "the other function", small); g.err != nil {
		t.Error(g.err)
	}
}

func TestEvictionFromAFakeGPU(t *testing.T) {
	h := openWithGPUs(t, oneFakeGPU())
	old := h.up(h.loads("old", memory(16*gb)))
	bystander := h.up(h.loads("bystander", function.Requirements{}))
	token, _ := h.run(bystander, `{}`)
	end := h.stay(old, "old")
	next := h.begin(h.loads("next", memory(16*gb)))
	h.status("it waits", func(s function.Status) bool { return len(s.Functions) == 3 })
	h.driver.lookedAgain(t)
	if h.noted("begin next") > 0 {
		t.Fatal("there is room for one of them, and both were started")
	}
	end() // busy, it is left alone
	if g := soon(t, "the other function", next); g.err != nil {
		t.Fatal(g.err)
	} else if got := h.grantedTo(g.id); got != "GPU-small" {
		t.Errorf("it has %q", got)
	}
	st := h.status("the eviction", func(s function.Status) bool { return workersOf(s, "old") == 0 })
	if st.Servers[0].Evictions != 1 || workersOf(st, "bystander") != 1 {
		t.Errorf("%+v", st)
	}
	if again, _ := h.run(bystander, `{}`); again.Token != token.Token {
		t.Error("who has nothing on the GPU was ended for its sake")
	}
	// And back again.
	if got := h.grantedTo(old); got != "GPU-small" {
		t.Errorf("the first one has %q", got)
	}
}

func TestAnIdleWorkerOnAnotherFakeGPUStays(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	small := h.up(h.loads("small", memory(20*gb)))
	token, _ := h.run(small, `{}`)
	large := h.up(h.loads("large", memory(60*gb)))
	h.run(large, `{}`)
	h.up(h.loads("larger", memory(70*gb))) // only the large GPU can have it
	h.status("the eviction", func(s function.Status) bool { return workersOf(s, "large") == 0 })
	if again, _ := h.run(small, `{}`); again.Token != token.Token {
		t.Error("a worker on the other GPU was ended in vain")
	}
}

func TestMemoryOfAFakeGPUThatComesBackLate(t *testing.T) {
	for name, r := range map[string]function.Requirements{"declared": memory(16 * gb), "the whole GPU": {GPUs: 1}} {
		t.Run(name, func(t *testing.T) {
			h := openWithGPUs(t, oneFakeGPU())
			h.run(h.up(h.loads("old", r)), `{}`)
			h.driver.hold("GPU-small", 16*gb)
			next := h.begin(h.loads("next", r))
			h.status("the eviction", func(s function.Status) bool { return s.Servers[0].Evictions == 1 && workersOf(s, "old") == 0 })
			eventually(t, "the process has ended", func() bool { return len(processesOf(h.notes+"old")) == 0 })
			h.driver.lookedAgain(t)
			h.driver.hold("GPU-small", 15*gb) // a part
			h.driver.lookedAgain(t)
			if h.noted("begin next") > 0 {
				t.Error("it was started before the memory was back")
			}
			h.driver.hold("GPU-small", 0)
			if g := soon(t, "the next function", next); g.err != nil {
				t.Error(g.err)
			}
		})
	}
}

// processesOf lists the PIDs of this test's processes whose environment has the value.
func processesOf(value string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		text, _ := os.ReadFile(file)
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))); pid != os.Getpid() && bytes.Contains(text, []byte("="+value+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A worker takes more than it declared. Where the driver names processes, that is counted as its own, so it is
// known that the memory comes back when it ends.
func TestMeasuredUseCountsWhereAFakeDriverNamesProcesses(t *testing.T) {
	h := openWithGPUs(t, oneFakeGPU())
	greedy := h.up(h.loads("greedy", memory(2*gb)))
	pids := processesOf(h.notes + "greedy")
	if len(pids) == 0 {
		t.Skip("other processes' environments cannot be read here")
	}
	end := h.stay(greedy, "greedy")
	h.driver.hold("GPU-small", 20*gb, gpu.Usage{UUID: "GPU-small", PID: pids[len(pids)-1], Memory: 20 * gb})
	seen := h.sampled(t)
	next := h.begin(h.loads("next", memory(10*gb)))
	seen()
	if h.noted("begin next") > 0 {
		t.Error("20 of 24 GB are in use, and a function that needs 10 was started")
	}
	end()
	h.status("the eviction", func(s function.Status) bool { return workersOf(s, "greedy") == 0 })
	h.driver.lookedAgain(t)
	if h.noted("begin next") > 0 {
		t.Error("it was started before the memory was back")
	}
	h.driver.hold("GPU-small", 0)
	if g := soon(t, "the next function", next); g.err != nil {
		t.Error(g.err)
	}
}

// sampled waits until the server has looked at the GPUs' use, and returns the same for again.
func (h *gpuHost) sampled(t *testing.T) func() {
	t.Helper()
	wait := func() {
		for range 2 {
			h.driver.lookedAgain(t) // a second each: the server takes its samples as often
		}
	}
	wait()
	return wait
}

// Where the driver names no process, what a start takes is told by what is free before and after it.
func TestAStartsUseCountsWhereAFakeDriverNamesNoProcess(t *testing.T) {
	h := openWithGPUs(t, oneFakeGPU())
	greedy := h.begin(h.loads("greedy", memory(2*gb), h.gated))
	eventually(t, "the start", func() bool { return h.noted("begin greedy") == 1 })
	h.driver.hold("GPU-small", 20*gb)
	touch(t, h.path("start-greedy"))
	g := soon(t, "it is ready", greedy)
	if g.err != nil {
		t.Fatal(g.err)
	}
	h.run(g.id, `{}`)
	next := h.begin(h.loads("next", memory(10*gb)))
	// Only if the 20 GB count as the worker's is there any use in its eviction.
	h.status("the eviction", func(s function.Status) bool { return workersOf(s, "greedy") == 0 })
	h.driver.lookedAgain(t)
	if h.noted("begin next") > 0 {
		t.Error("it was started before the memory was back")
	}
	h.driver.hold("GPU-small", 0)
	if g := soon(t, "the next function", next); g.err != nil {
		t.Error(g.err)
	}
}

func TestOthersOnAFakeGPUCount(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	h.driver.hold("GPU-small", 20*gb) // a desktop, say
	h.sampled(t)
	if got := h.grantedTo(h.up(h.loads("f", memory(8*gb)))); got != "GPU-large" {
		t.Errorf("the small GPU has 4 GB left, and a function that needs 8 got %q", got)
	}
}

func TestStartsOnOneFakeGPUDoNotOverlap(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	actions := []string{"one", "two", "three"}
	var ready []<-chan granted
	for _, action := range actions {
		ready = append(ready, h.begin(h.loads(action, memory(2*gb), h.gated)))
	}
	h.status("all are starting", func(s function.Status) bool { return len(s.Functions) == 3 })
	// The other GPU is free for a start meanwhile, and no GPU is needed for another.
	if got := h.grantedTo(h.up(h.loads("elsewhere", memory(40*gb)))); got != "GPU-large" {
		t.Errorf("it has %q", got)
	}
	h.up(h.loads("without", function.Requirements{}))
	for i := range actions {
		begun := func() (names []string) {
			for _, action := range actions {
				if h.noted("begin "+action) > h.noted("end "+action) {
					names = append(names, action)
				}
			}
			return names
		}
		eventually(t, "a start", func() bool { return len(begun()) > 0 })
		h.driver.hold("GPU-small", int64(i+1)*2*gb) // it loads
		h.driver.lookedAgain(t)
		now := begun()
		if len(now) != 1 {
			t.Fatalf("on one GPU at the same time: %v", now)
		}
		touch(t, h.path("start-"+now[0]))
		eventually(t, "the end of the start", func() bool { return h.noted("end "+now[0]) == 1 })
	}
	for i, r := range ready {
		g := soon(t, actions[i]+" is ready", r)
		if g.err != nil {
			t.Fatal(g.err)
		}
		if got := h.grantedTo(g.id); got != "GPU-small" {
			t.Errorf("%s has %q", actions[i], got)
		}
	}
}

// A worker's declared memory is more than it takes; the driver's own part must not be forgotten beside it. Else
// more than there is would be waited for at the end of the next.
func TestAFakeDriversOwnMemoryIsNotWaitedFor(t *testing.T) {
	d := oneFakeGPU()
	d.hold("GPU-small", gb/2) // with what the driver keeps more than is overlooked
	var log lockedBuffer
	h := openWithGPUs(t, d, func(c *server.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, id := range []function.ID{h.up(h.loads("first", memory(10*gb))), h.up(h.loads("second", memory(10*gb)))} {
		h.run(id, `{}`)
	}
	whole := h.begin(h.loads("whole", function.Requirements{GPUs: 1})) // both must go
	eventually(t, "the start, or a warning", func() bool {
		return h.noted("begin whole") > 0 || strings.Contains(log.String(), "did not come back")
	})
	if words := log.String(); strings.Contains(words, "did not come back") {
		t.Fatalf("more was waited for than there ever was:\n%s", words)
	}
	if g := soon(t, "the last function", whole); g.err != nil {
		t.Error(g.err)
	}
}

// A lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAFakeDriverThatFails(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	running := h.up(h.loads("running", memory(8*gb)))
	end := h.stay(running, "running")
	h.driver.lose(errors.New("the fake driver has crashed"))
	h.driver.lookedAgain(t)
	g := soon(t, "an answer for who needs a GPU", h.begin(h.loads("new", memory(8*gb))))
	if e := wantCode(t, g.err, function.CodeNoCapacity); !strings.Contains(e.Error(), "the fake driver has crashed") {
		t.Errorf("a new function: %v", e)
	}
	if got := h.grantedTo(h.up(h.loads("without", function.Requirements{}))); got != "" {
		t.Errorf("it has %q", got)
	}
	token := end().Token
	if again, _ := h.run(running, `{}`); again.Token != token {
		t.Error("a function that ran lost its worker")
	}
	h.driver.lose(nil)
	h.driver.lookedAgain(t)
	if got := h.grantedTo(h.up(h.loads("new", memory(8*gb)))); got != "GPU-small" {
		t.Errorf("it has %q", got)
	}
}

func TestAFakeDriverThatHangs(t *testing.T) {
	h := openWithGPUs(t, twoFakeGPUs())
	running := h.up(h.loads("running", memory(8*gb)))
	end := h.stay(running, "running")
	stop := h.driver.hang()
	needy := h.begin(h.loads("needy", memory(8*gb)))
	h.status("its start", func(s function.Status) bool { return len(s.Functions) == 2 })
	h.run(h.up(h.loads("without", function.Requirements{})), `{}`)
	end()
	h.run(running, `{}`)
	if h.noted("begin needy") > 0 {
		t.Error("it was started without a word from the driver")
	}
	stop()
	if g := soon(t, "who waited for the driver", needy); g.err != nil {
		t.Error(g.err)
	}
}

func TestFakeGPUsThatVanish(t *testing.T) {
	d := twoFakeGPUs()
	h := openWithGPUs(t, d)
	running := h.up(h.loads("running", memory(8*gb)))
	end := h.stay(running, "running")
	devices := d.devices
	d.have()
	h.status("no GPU", func(s function.Status) bool { return len(s.Servers[0].GPUs) == 0 })
	h.sampled(t) // the account knows it a moment after the status
	waits := h.begin(h.loads("waits", memory(8*gb)))
	h.up(h.loads("without", function.Requirements{}))
	h.sampled(t)
	if h.noted("begin waits") > 0 {
		t.Error("it was started without its GPU")
	}
	token := end().Token
	if again, _ := h.run(running, `{}`); again.Token != token {
		t.Error("a function that ran lost its worker")
	}
	d.have(devices...)
	st := h.status("the GPUs are back", func(s function.Status) bool { return len(s.Servers[0].GPUs) == 2 })
	if g := st.Servers[0].GPUs[1]; g.UUID != "GPU-small" || g.Memory.Budget != 24*gb {
		t.Errorf("%+v", g)
	}
	if g := soon(t, "who waited", waits); g.err != nil {
		t.Error(g.err)
	}
}

// Who has waited for long comes before others. That holds for the GPUs that it waits for, and keeps nobody out
// who needs none.
func TestWhoWaitsForAFakeGPUKeepsNobodyElseOut(t *testing.T) {
	h := openWithGPUs(t, oneFakeGPU())
	end := h.stay(h.up(h.loads("busy", memory(20*gb))), "busy")
	waits := h.begin(h.loads("waits", memory(10*gb)))
	h.sampled(t)
	h.sampled(t) // for longer than others may go first
	h.up(h.loads("without", function.Requirements{}))
	if h.noted("begin waits") > 0 {
		t.Error("it was started beside one that has the GPU")
	}
	end()
	if g := soon(t, "who waited", waits); g.err != nil {
		t.Error(g.err)
	}
}

func TestWhoWaitsForAFakeGPUIsToldSo(t *testing.T) {
	h := openWithGPUs(t, oneFakeGPU())
	first := h.up(h.loads("first", memory(15*gb)))
	h.stay(h.up(h.loads("second", memory(16*gb))), "second")
	_, _, err := h.try(t.Context(), first, `{}`, patience/30)
	e := wantCode(t, err, function.CodeTimeout)
	for _, words := range []string{"GPU", "15360 MB"} {
		if !strings.Contains(e.Error(), words) {
			t.Errorf("%q is not in %q", words, e)
		}
	}
}
