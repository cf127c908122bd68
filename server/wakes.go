package server

import (
	"container/heap"
	"time"
)

// wakes holds the functions that plan must be asked about at a time, the
// earliest first.
type wakes struct{ heap wakeHeap }

// add makes sure that f comes up at the time at, or before. It reports whether
// that changed anything.
func (w *wakes) add(f *fn, at time.Time) bool {
	if f.wakeIndex < 0 {
		f.wake = at
		heap.Push(&w.heap, f)
		return true
	}
	if !at.Before(f.wake) {
		return false
	}
	f.wake = at
	heap.Fix(&w.heap, f.wakeIndex)
	return true
}

// next returns the earliest time.
func (w *wakes) next() (time.Time, bool) {
	if len(w.heap) == 0 {
		return time.Time{}, false
	}
	return w.heap[0].wake, true
}

// due takes out a function whose time has come, or returns nil.
func (w *wakes) due(now time.Time) *fn {
	if len(w.heap) == 0 || w.heap[0].wake.After(now) {
		return nil
	}
	return heap.Pop(&w.heap).(*fn)
}

func (w *wakes) remove(f *fn) {
	if f.wakeIndex >= 0 {
		heap.Remove(&w.heap, f.wakeIndex)
	}
}

// wakeHeap is the heap.Interface behind wakes.
type wakeHeap []*fn

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].wakeIndex, h[j].wakeIndex = i, j
}

func (h *wakeHeap) Push(x any) {
	f := x.(*fn)
	f.wakeIndex = len(*h)
	*h = append(*h, f)
}

func (h *wakeHeap) Pop() any {
	last := len(*h) - 1
	f := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	f.wakeIndex = -1
	return f
}
