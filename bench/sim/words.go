package main

import "time"

const (
	mega = 1 << 20
	giga = 1 << 30
)

// A function is what is called.
type function struct {
	id        int
	namespace int
	memory    int64         // bytes of a worker
	gpu       bool          // a worker takes one GPU, or a part
	gpuMemory int64         // bytes on it
	code      int64         // bytes
	build     float64       // CPU seconds to build its environment, once on each server
	startWork float64       // CPU seconds of a process start
	startWait time.Duration // of it that is no work of the CPU: disks, a model's way to the GPU
	limit     time.Duration // a call's time limit
}

// A call is one line of a trace.
type call struct {
	at    time.Duration
	fn    int
	work  float64       // CPU seconds at strength 1
	wait  time.Duration // without the CPU: other services, or the GPU of strength 1
	aside bool          // it is load, but not what is measured
}

// ideal is what a call takes on an idle server of strength 1 that has it warm.
func (c call) ideal() time.Duration { return c.wait + seconds(c.work) }

// A spec says what a server is.
type spec struct {
	cpus      int
	strength  float64 // of one CPU
	memory    int64   // bytes for workers
	gpus      int
	gpuMemory int64         // bytes of each
	gpuSpeed  float64       // 1 is the reference
	rtt       time.Duration // between balancer and server
	bandwidth float64       // bytes a second to it
}

// fits reports whether a worker of the function can ever be there.
func (s spec) fits(f *function) bool {
	return f.memory <= s.memory && (!f.gpu || s.gpus > 0 && f.gpuMemory <= s.gpuMemory)
}

// A trace is everything that happens to the balancer from outside.
type trace struct {
	name      string
	about     string // for the page
	functions []*function
	servers   []spec
	calls     []call // by time
	faults    []fault
}

// A run is a call on its way.
type run struct {
	call
	f     *function
	ended bool
	tried []*member // who refused it
	spent spent
}

func (r *run) deadline() time.Duration { return r.at + r.f.limit }

// An outcome is how a call ends.
type outcome int

const (
	finished outcome = iota
	lost             // its server was lost: it may have run
	timedOut         // cut at its limit
	refused          // never begun: no room in a queue, or its limit passed there
	outcomes
)

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
