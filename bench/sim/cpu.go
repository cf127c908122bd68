package main

import (
	"container/heap"
	"math"
	"time"
)

// A cpu is a server's processors, shared evenly by its jobs: each job has at most one
// processor, and with more jobs than processors each has its share (processor
// sharing, which is near to what Linux does).
//
// All jobs get the same in the same time. So one number, what a job has had since the
// beginning, tells when each ends: that is "virtual time", as in fair queueing.
type cpu struct {
	loop  *loop
	cores int
	speed float64 // work that one core does in a second
	had   float64 // what a job that was there from the beginning has had
	since time.Duration
	jobs  jobHeap
	seq   uint64
	turn  uint64  // counts changes: a wake-up of an earlier turn is void
	work  float64 // done so far by all jobs together
}

// A job is work that needs one core.
type job struct {
	end   float64 // ends when had is so much
	seq   uint64
	index int // in the heap; -1: not there
	cpu   *cpu
	then  func()
}

func (c *cpu) add(work float64, then func()) *job {
	c.advance()
	c.seq++
	j := &job{end: c.had + work, seq: c.seq, cpu: c, then: then}
	heap.Push(&c.jobs, j)
	c.wake()
	return j
}

// remove ends a job early; its then is not called.
func (j *job) remove() {
	if j == nil || j.index < 0 {
		return
	}
	c := j.cpu
	c.advance()
	heap.Remove(&c.jobs, j.index)
	c.wake()
}

// clear ends all jobs early.
func (c *cpu) clear() {
	c.advance()
	for _, j := range c.jobs {
		j.index = -1
	}
	c.jobs = nil
	c.turn++
}

func (c *cpu) setSpeed(speed float64) {
	c.advance()
	c.speed = speed
	c.wake()
}

// share is what each job gets in a second.
func (c *cpu) share() float64 {
	return c.speed * min(1, float64(c.cores)/float64(max(1, len(c.jobs))))
}

func (c *cpu) advance() {
	got := c.share() * (c.loop.now - c.since).Seconds()
	c.since = c.loop.now
	c.work += got * float64(len(c.jobs))
	c.had += got
}

// wake asks to be called when the first job ends, if nothing changes before.
func (c *cpu) wake() {
	c.turn++
	if len(c.jobs) == 0 {
		return
	}
	turn := c.turn
	// Rounded up, so that the job has had its work by then.
	left := math.Ceil((c.jobs[0].end - c.had) / c.share() * 1e9)
	c.loop.after(time.Duration(max(0, left)), func() {
		if c.turn == turn {
			c.finish()
		}
	})
}

func (c *cpu) finish() {
	c.advance()
	const nearly = 1e-9 // rounding of a nanosecond
	first := heap.Pop(&c.jobs).(*job)
	ended := []*job{first}
	for len(c.jobs) > 0 && c.jobs[0].end <= max(first.end, c.had)+nearly {
		ended = append(ended, heap.Pop(&c.jobs).(*job))
	}
	c.wake()
	for _, j := range ended {
		j.then()
	}
}

// jobHeap implements heap.Interface.
type jobHeap []*job

func (h jobHeap) Len() int { return len(h) }
func (h jobHeap) Less(i, j int) bool {
	if h[i].end != h[j].end {
		return h[i].end < h[j].end
	}
	return h[i].seq < h[j].seq
}
func (h jobHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *jobHeap) Push(x any) {
	j := x.(*job)
	j.index = len(*h)
	*h = append(*h, j)
}
func (h *jobHeap) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	j.index = -1
	return j
}
