package gpu

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// locks has one lock for each GPU that was ever locked.
type locks struct {
	mu sync.Mutex
	of map[string]chan struct{} // by UUID; holds something while the lock is taken
}

func (l *locks) lock(uuid string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[string]chan struct{})
	}
	if l.of[uuid] == nil {
		l.of[uuid] = make(chan struct{}, 1)
	}
	return l.of[uuid]
}

// Lock makes the caller the only one that loads something onto these GPUs, until it
// calls unlock. What a load takes can so be told where the driver does not name processes, see
// Meter.
func (m *Monitor) Lock(ctx context.Context, uuids []string) (unlock func(), err error) {
	// All take them in one order, so that no two wait for each other.
	ordered := slices.Compact(slices.Sorted(slices.Values(uuids)))
	var taken []chan struct{}
	release := sync.OnceFunc(func() {
		for _, lock := range taken {
			<-lock
		}
	})
	for _, uuid := range ordered {
		lock := m.locks.lock(uuid)
		select {
		case lock <- struct{}{}:
			taken = append(taken, lock)
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("waiting until nobody else loads onto the GPUs %s: %w", strings.Join(uuids, ", "), context.Cause(ctx))
		}
	}
	return release, nil
}
