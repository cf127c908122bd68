package server

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/worker"
)

// How often the workers are looked at. Where the kernel enforces their limits that is for
// the account only; else it is what enforces them.
const (
	calmInterval  = time.Second
	tightInterval = 200 * time.Millisecond
)

// watchUsage looks after what the workers use, also while the server drains, until the owner ends.
func (s *Server) watchUsage() {
	interval := calmInterval
	if !s.kernelLimits {
		interval = tightInterval
	}
	s.watchSlots(interval, s.look)
}

// watchDisk looks after what they write. It has a goroutine of its own: a large directory
// takes long to measure, and memory must not wait for it.
func (s *Server) watchDisk() {
	d := &diskWatch{s: s}
	s.watchSlots(tightInterval, d.look)
}

// watchSlots calls look with all workers again and again, until the owner ends. While
// nothing runs or starts it looks every second only.
func (s *Server) watchSlots(interval time.Duration, look func([]*slot)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var looked time.Time
	for {
		select {
		case <-ticker.C:
		case <-s.owner.done:
			return
		}
		if !s.owner.busy.Load() && time.Since(looked) < calmInterval-interval/2 {
			continue
		}
		looked = time.Now()
		e := &listSlots{reply: make(chan []*slot, 1)}
		slots, err := ask(context.Background(), s.owner, e, e.reply)
		if err != nil {
			return // the owner has ended
		}
		look(slots)
	}
}

// look takes a sample, ends who is over a limit of its own, and tells the owner.
func (s *Server) look(slots []*slot) {
	usages := usagesOf(slots)
	var ended []*slot
	for i, w := range slots {
		w.memory.Store(usages[i].Memory)
		if cause := s.over(w.fn.spec, usages[i]); cause != "" {
			w.process.End(cause)
			ended = append(ended, w)
		}
	}
	s.owner.send(&sampled{slots: slots, usages: usages, ended: ended, gpus: devicesOf(s.gpus), gpuUse: s.gpuUse(slots)})
}

// usagesOf asks the processes, in one pass over all.
func usagesOf(slots []*slot) []sandbox.Usage {
	workers := make([]*worker.Worker, 0, len(slots))
	for _, s := range slots {
		if w, ok := s.process.(*worker.Worker); ok {
			workers = append(workers, w)
		}
	}
	if len(workers) < len(slots) {
		return make([]sandbox.Usage, len(slots)) // stand-ins in a test
	}
	return worker.Usages(workers, exactAbove)
}

// exactAbove is from how many bytes on a worker's memory is measured exactly: below, it
// counts as the usual anyway, and exactness costs the kernel a walk over its pages.
const exactAbove = usualMemory / 4

// over says which limit of its own a worker has passed, in words that complete "the process ...".
func (s *Server) over(spec function.Spec, u sandbox.Usage) string {
	if s.kernelLimits {
		return ""
	}
	if limit := spec.Require.Memory; limit > 0 && u.Memory > limit {
		return outOfMemory(limit)
	}
	if u.Processes > s.processes {
		return fmt.Sprintf("had %d processes and threads, its limit is %d; it was ended", u.Processes, s.processes)
	}
	return ""
}

func outOfMemory(limit int64) string {
	return fmt.Sprintf("ran out of memory: its limit is %d MB", limit>>20)
}

// diskStep is how much the disk must fill up until directories are measured again.
const diskStep = 64 << 20

// A diskWatch is what watchDisk keeps in mind.
type diskWatch struct {
	s    *Server
	seen int64 // bytes that the disk had taken when directories were measured
}

// look ends workers that fill the disk, and keeps caches within their limits. Measuring
// a directory means to read all of it, so that is done only when the disk has filled up.
func (m *diskWatch) look(slots []*slot) {
	used := diskUsed(m.s.layout.functions())
	m.seen = min(m.seen, used)
	if used-m.seen < min(diskStep, m.s.diskLimit/4) {
		return
	}
	m.seen = used
	for _, s := range slots {
		dir := tempOf(s.fn.dir, s.number)
		if size := sizeOf(dir, m.s.diskLimit); size > m.s.diskLimit {
			s.process.End(fmt.Sprintf("filled its disk: it wrote more than %d MB to its temporary directory, which is the limit", m.s.diskLimit>>20))
		}
	}
	if freed, err := kind.TrimEnvs(m.s.layout.envs, m.s.envsLimit); err != nil {
		m.s.log.Warn("environments of dependencies could not be removed", "error", err)
	} else if freed > 0 {
		m.s.log.Info("environments of dependencies were over their limit; the least recently used went", "freed", freed, "limit", m.s.envsLimit)
	}
	if freed := m.s.caches.trim(); freed > 0 {
		m.s.log.Info("caches were over their limit; the least recently used files went", "freed", freed, "limit", m.s.caches.limit)
	}
}

// A sampled tells what the workers use.
type sampled struct {
	slots  []*slot
	usages []sandbox.Usage
	gpuUse []map[string]int64 // of each slot, by GPU; nil: not known
	ended  []*slot            // of slots, those that were ended for what they use
	gpus   []gpu.Device
}

func (e *sampled) apply(o *owner) {
	o.quiet = true
	o.ledger.gpus = e.gpus
	for _, s := range e.ended {
		s.holding.ending = true // nobody else must make room for it
		if !s.gone {
			o.leave(s)
		}
	}
	var used int64
	var busy []busyWorker
	var busySlots []*slot
	for i, s := range e.slots {
		s.holding.used = e.usages[i].Memory
		if e.gpuUse != nil {
			s.holding.gpuUsed = e.gpuUse[i]
		}
		if s.gone || s.holding.ending {
			continue
		}
		used += s.holding.used
		if s.running > 0 {
			busy = append(busy, busyWorker{Claimed: s.holding.claimed, Used: s.holding.used})
			busySlots = append(busySlots, s)
		}
	}
	r, idle := o.ledger.room()
	evict, end := relieve(r, busy, used, o.now)
	for _, i := range evict {
		o.evict(idle[i], nil)
	}
	if end >= 0 {
		s := busySlots[end]
		s.crashed, s.holding.ending = true, true
		o.yield(s)
		o.log.Warn("all functions together use more memory than they may; the one that uses the most beyond its claim is ended",
			"function", s.fn.spec.FullName(), "id", s.fn.id, "used", s.holding.used, "budget", o.ledger.budget)
		o.tasks.Go(func() {
			s.process.End(fmt.Sprintf("ran out of memory: the functions on this server may use %d MB together, and it used %d MB, the most beyond what it had declared",
				o.ledger.budget>>20, busy[end].Used>>20))
		})
	}
	o.assignRoom()
}

// listSlots asks for all workers.
type listSlots struct{ reply chan []*slot }

func (e *listSlots) apply(o *owner) {
	o.quiet = true
	var all []*slot
	for _, f := range o.functions {
		all = append(all, f.slots...)
	}
	e.reply <- all
}

// memoryBudget is what all functions together may use, in bytes: what is configured, else four fifths of
// the machine's, or of our own limit; the rest is for the system and for us. 0: not known.
func memoryBudget(configured int64) int64 { return cmp.Or(configured, MachineMemory()/5*4) }
