package main

import (
	"container/heap"
	"time"
)

// A loop is simulated time: it does what was asked for in the order of when.
type loop struct {
	now    time.Duration // since the simulation's beginning
	seq    uint64
	events eventHeap
}

// An event is something to do at a time; of two at the same time, the one asked for first.
type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

// at has something done at a time, or now if that has passed.
func (l *loop) at(t time.Duration, do func()) {
	l.seq++
	heap.Push(&l.events, &event{max(t, l.now), l.seq, do})
}

func (l *loop) after(d time.Duration, do func()) { l.at(l.now+d, do) }

// step does the next thing, and reports whether there was one.
func (l *loop) step() bool {
	if len(l.events) == 0 {
		return false
	}
	e := heap.Pop(&l.events).(*event)
	l.now = e.at
	e.do()
	return true
}

// eventHeap implements heap.Interface.
type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
