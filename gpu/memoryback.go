package gpu

import (
	"context"
	"fmt"
	"time"
)

// backInterval is how often a GPU is looked at whose memory is waited for.
const backInterval = 100 * time.Millisecond

// MemoryBack waits until want bytes of a GPU are free, or ctx ends. The memory of a process that was
// killed comes back some time after the process has gone, seconds with large
// models. It looks at least once, so afterwards the snapshot is newer than the call.
func (m *Monitor) MemoryBack(ctx context.Context, uuid string, want int64) error {
	var free int64
	for {
		// What fails now may work again: only ctx ends the wait.
		if s, err := m.Refresh(ctx); err == nil {
			d, found := s.Device(uuid)
			if !found {
				return fmt.Errorf("waiting for a GPU's memory: %w", errGone(uuid))
			}
			if want > d.Total {
				return fmt.Errorf("waiting for a GPU's memory: the GPU %s has %d MB, so %d MB are never free", uuid, d.Total>>20, want>>20)
			}
			if free = d.Free; free >= want {
				return nil
			}
		}
		select {
		case <-time.After(backInterval):
		case <-m.ended:
			return fmt.Errorf("waiting for a GPU's memory: the monitor is closed")
		case <-ctx.Done():
			return fmt.Errorf("waiting for a GPU's memory: of the GPU %s, %d MB are free and not %d MB: %w", uuid, free>>20, want>>20, context.Cause(ctx))
		}
	}
}
