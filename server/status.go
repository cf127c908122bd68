package server

import (
	"runtime"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A status is what the owner knows of the server's.
type status struct {
	functions []function.FunctionStatus // at most maxListed
	known     int
	evictions int64
	workers   int
	running   int
	queued    int
	memory    int64 // bytes, of all workers
	spare     spare
	draining  bool
}

// A statusCall asks for the status, and makes its watcher one who is told of
// changes from then on.
type statusCall struct {
	watcher *watcher
	reply   chan status
}

func (e *statusCall) apply(o *owner) {
	select {
	case <-e.watcher.changed: // it is in this status
	default:
	}
	e.watcher.told = false
	o.quiet = true
	o.watchers[e.watcher] = struct{}{}
	e.reply <- o.status()
}

// unwatch forgets a watcher.
type unwatch watcher

func (e *unwatch) apply(o *owner) {
	delete(o.watchers, (*watcher)(e))
	o.quiet = true
}

// maxListed is from how many functions on those that have no worker are left out: a
// status is sent at every change.
const maxListed = 1000

func (o *owner) status() status {
	st := status{running: o.running, draining: o.draining, known: len(o.functions), evictions: o.evictions, spare: o.ledger.spare()}
	var resting []*fn
	for _, f := range o.functions {
		st.workers += len(f.slots)
		st.queued += f.queue.Len()
		for _, s := range f.slots {
			st.memory += s.memory.Load()
		}
		if len(f.slots)+f.starting+f.queue.Len() == 0 {
			resting = append(resting, f)
			continue
		}
		st.functions = append(st.functions, f.status(o, &st.spare))
	}
	for _, f := range resting {
		if len(st.functions) >= maxListed {
			break
		}
		st.functions = append(st.functions, f.status(o, &st.spare))
	}
	slices.SortFunc(st.functions, func(a, b function.FunctionStatus) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return st
}

func (f *fn) status(o *owner, room *spare) function.FunctionStatus {
	state := "starting"
	switch {
	case f.ready():
		state = "ready"
	case f.starting == 0 && f.failures > 0:
		state = "failed"
	}
	st := function.FunctionStatus{
		ID: f.id, Namespace: f.spec.Namespace, Action: f.spec.Action, Kind: f.spec.Kind, Main: f.spec.Main,
		Labels: f.spec.Require.Labels, State: state, Workers: len(f.slots), Idle: len(f.idle()),
		Running: f.running, Queued: f.queue.Len(), Leases: len(f.leases), Runs: f.runs,
		Slots: f.slotsIn(o, room), Start: f.startTime.Microseconds(),
	}
	if f.runs >= knownAfter {
		st.Usual = f.usualTime.Microseconds()
	}
	return st
}

// Walls is what keeps functions apart here, in words.
func (s *Server) Walls() []string {
	words := slices.DeleteFunc(s.walls.Words(), func(w string) bool { return w == "own uid" && (s.users == nil || s.users.count == 0) })
	if s.groups != nil {
		return append(words, s.groups.Enforced()...)
	}
	return append(words, "memory, processes and disk watched")
}

// status completes what the owner said with what does not change.
func (s *Server) status(st status) function.Status {
	for i := range st.functions {
		st.functions[i].Server = s.id
	}
	one := function.ServerStatus{
		ID: s.id, Name: s.name, Version: s.version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Labels: s.offer.labels, Found: s.offer.found, Kinds: s.offer.kinds.Kinds(), Walls: s.Walls(), CPUs: runtime.NumCPU(), Strength: s.strength,
		Memory: st.spare.memory(function.Memory{Budget: s.offer.memory, Used: st.memory}), GPUs: st.spare.onGPUs(s.gpusNow()),
		Functions: st.known, Evictions: st.evictions,
		Workers: st.workers, Running: st.running, Queued: st.queued, Draining: st.draining,
		Uptime: int64(time.Since(s.began) / time.Second),
	}
	return function.Status{Servers: []function.ServerStatus{one}, Functions: st.functions}
}
