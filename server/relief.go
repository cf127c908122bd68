package server

import "time"

// A busyWorker may have to end when memory runs out.
type busyWorker struct {
	Claimed int64 // bytes that it declared, or the usual
	Used    int64 // bytes
}

// relieve decides what to do when workers have grown beyond the budget: idle ones end,
// in the order in which they would make room. Only when what is really used is more than
// the budget, and no idle worker is left that could go, a busy one must: the one that uses the
// most beyond its claim. It returns -1 for nobody. It is pure.
func relieve(r room, busy []busyWorker, used int64, now time.Time) (evict []int, end int) {
	if r.Budget <= 0 {
		return nil, -1
	}
	over := r.Taken - r.Ending - r.Budget
	order, wake := r.evictable(now, false)
	for _, i := range order {
		if over <= 0 {
			break
		}
		evict = append(evict, i)
		over -= r.Idle[i].Memory
	}
	if used <= r.Budget || len(evict) > 0 || !wake.IsZero() || r.Ending > 0 {
		return evict, -1
	}
	return nil, greediest(busy)
}

// greediest is the worker that uses the most beyond its claim, or -1.
func greediest(busy []busyWorker) int {
	worst, most := -1, int64(0)
	for i, b := range busy {
		if beyond := b.Used - b.Claimed; beyond > most {
			worst, most = i, beyond
		}
	}
	return worst
}
