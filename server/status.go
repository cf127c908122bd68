package server

import (
	"runtime"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A status is what the owner knows of the server's.
type status struct {
	functions []function.FunctionStatus
	workers   int
	running   int
	queued    int
	memory    int64 // bytes, of all workers
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

func (o *owner) status() status {
	st := status{running: o.running, draining: o.draining, functions: make([]function.FunctionStatus, 0, len(o.functions))}
	for _, f := range o.functions {
		fs := f.status()
		st.workers += fs.Workers
		st.queued += fs.Queued
		st.functions = append(st.functions, fs)
		for _, s := range f.slots {
			st.memory += s.memory.Load()
		}
	}
	slices.SortFunc(st.functions, func(a, b function.FunctionStatus) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return st
}

func (f *fn) status() function.FunctionStatus {
	state := "starting"
	switch {
	case f.ready():
		state = "ready"
	case f.starting == 0 && f.failures > 0:
		state = "failed"
	}
	return function.FunctionStatus{
		ID: f.id, Namespace: f.spec.Namespace, Action: f.spec.Action, Kind: f.spec.Kind, Main: f.spec.Main,
		Labels: f.spec.Require.Labels, State: state, Workers: len(f.slots), Idle: len(f.idle()),
		Running: f.running, Queued: f.queue.Len(), Leases: len(f.leases), Runs: f.runs,
	}
}

// status completes what the owner said with what does not change.
func (s *Server) status(st status) function.Status {
	for i := range st.functions {
		st.functions[i].Server = s.id
	}
	one := function.ServerStatus{
		ID: s.id, Name: s.name, Version: s.version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Labels: s.offer.labels, Kinds: s.offer.kinds, Walls: s.walls.Words(), CPUs: runtime.NumCPU(),
		Memory: function.Memory{Budget: s.offer.memory, Used: st.memory}, GPUs: s.offer.gpus,
		Workers: st.workers, Running: st.running, Queued: st.queued, Draining: st.draining,
		Uptime: int64(time.Since(s.began) / time.Second),
	}
	return function.Status{Servers: []function.ServerStatus{one}, Functions: st.functions}
}
