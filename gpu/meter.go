package gpu

import "context"

// A Meter tells what a load takes of each GPU by what is free before and after it. That
// is right only while nobody else loads or frees there: hold the GPUs' Lock. Where
// Snapshot.PIDsVisible, Snapshot.UsedBy is better.
type Meter struct {
	monitor *Monitor
	free    map[string]int64 // before, in bytes, by UUID
}

// Before marks what is free on these GPUs.
func (m *Monitor) Before(ctx context.Context, uuids []string) (*Meter, error) {
	free, err := m.free(ctx, uuids)
	if err != nil {
		return nil, err
	}
	return &Meter{m, free}, nil
}

// After returns how much less is free on each GPU than before, in bytes, by UUID. Where more is
// free, because others left, it is 0.
func (t *Meter) After(ctx context.Context) (map[string]int64, error) {
	var uuids []string
	for uuid := range t.free {
		uuids = append(uuids, uuid)
	}
	free, err := t.monitor.free(ctx, uuids)
	if err != nil {
		return nil, err
	}
	took := make(map[string]int64)
	for uuid, before := range t.free {
		took[uuid] = max(0, before-free[uuid])
	}
	return took, nil
}

// free is what is free now.
func (m *Monitor) free(ctx context.Context, uuids []string) (map[string]int64, error) {
	s, err := m.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	free := make(map[string]int64)
	for _, uuid := range uuids {
		d, found := s.Device(uuid)
		if !found {
			return nil, errGone(uuid)
		}
		free[uuid] = d.Free
	}
	return free, nil
}
