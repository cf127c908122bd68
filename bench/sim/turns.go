package main

import "time"

// turns is what each namespace has had, in seconds of run time: who had the least is served first
// (start-time fair queueing, as in MQFQ-Sticky, 2025). Who comes back after a pause has had as much as
// the one who had the least of those who wait, so that nobody saves up.
type turns struct {
	served map[int]float64 // by namespace; looked up only
	queues map[int]int     // of each namespace that wait
	list   []int           // namespaces that wait
}

// come tells that one more queue of the namespace waits.
func (t *turns) come(namespace int) {
	if t.queues == nil {
		t.queues = map[int]int{}
	}
	if t.queues[namespace]++; t.queues[namespace] > 1 {
		return
	}
	if len(t.list) > 0 {
		least := t.served[t.list[0]]
		for _, other := range t.list {
			least = min(least, t.served[other])
		}
		t.served[namespace] = max(t.served[namespace], least)
	}
	t.list = append(t.list, namespace)
}

// leave tells that one queue of the namespace is empty.
func (t *turns) leave(namespace int) {
	if t.queues[namespace]--; t.queues[namespace] > 0 {
		return
	}
	for i, other := range t.list {
		if other == namespace {
			t.list = append(t.list[:i], t.list[i+1:]...)
			return
		}
	}
}

// took tells that the namespace was served.
func (t *turns) took(namespace int, runTime time.Duration) {
	t.served[namespace] += max(runTime, time.Millisecond).Seconds()
}
