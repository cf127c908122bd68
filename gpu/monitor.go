package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// goneAfter is how long a driver may fail until its GPUs count as gone. Shorter failures,
// as while it is busy with a reset, are waited out.
const goneAfter = 30 * time.Second

// A Monitor keeps the latest that a Source says. It owns the source.
type Monitor struct {
	source   Source
	interval time.Duration
	log      *slog.Logger
	cancel   context.CancelFunc
	ended    chan struct{}
	asked    chan chan<- outcome // who wants to know it as it is now
	latest   atomic.Pointer[Snapshot]
	locks    locks
}

// An outcome is of one look.
type outcome struct {
	snapshot Snapshot
	err      error // nothing was seen
}

// NewMonitor looks at the GPUs once, so that Snapshot has something to say (a driver that
// hangs delays it by the source's time limits), and then again every interval (0: a
// second) until Close.
func NewMonitor(source Source, interval time.Duration, log *slog.Logger) *Monitor {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{
		source: source, interval: cmp.Or(interval, time.Second), log: log, cancel: cancel,
		ended: make(chan struct{}), asked: make(chan chan<- outcome),
	}
	m.latest.Store(&Snapshot{})
	m.look(ctx)
	go m.loop(ctx)
	return m
}

// Source is the source's name, for people.
func (m *Monitor) Source() string { return m.source.Name() }

// Snapshot is what was seen last. It costs nothing and never waits.
func (m *Monitor) Snapshot() Snapshot { return *m.latest.Load() }

// Refresh looks now. The error says that no GPU answered; Snapshot.Err may also
// tell of one among several.
func (m *Monitor) Refresh(ctx context.Context) (Snapshot, error) {
	seen := make(chan outcome, 1)
	select {
	case m.asked <- seen:
	case <-m.ended:
		return Snapshot{}, errors.New("asking for the GPUs: the monitor is closed")
	case <-ctx.Done():
		return Snapshot{}, fmt.Errorf("asking for the GPUs: %w", context.Cause(ctx))
	}
	select {
	case o := <-seen:
		return o.snapshot, o.err
	case <-ctx.Done():
		return Snapshot{}, fmt.Errorf("asking for the GPUs: %w", context.Cause(ctx))
	}
}

// Close ends the monitor and its source, and waits for both.
func (m *Monitor) Close() error {
	m.cancel()
	<-m.ended
	return m.source.Close()
}

func (m *Monitor) loop(ctx context.Context) {
	defer close(m.ended)
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		var waiting []chan<- outcome
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case w := <-m.asked:
			waiting = append(waiting, w)
		}
		// Who asks while we look is answered by the next look: this one may have begun too early.
		waiting = append(waiting, m.others()...)
		err := m.look(ctx)
		for _, w := range waiting {
			w <- outcome{m.Snapshot(), err}
		}
	}
}

// others are those who ask besides.
func (m *Monitor) others() (all []chan<- outcome) {
	for {
		select {
		case w := <-m.asked:
			all = append(all, w)
		default:
			return all
		}
	}
}

// look asks the driver and keeps what it says.
func (m *Monitor) look(ctx context.Context) error {
	before := m.Snapshot()
	devices, err := m.source.Devices(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && len(devices) == 0 {
		m.store(failed(before, err, time.Now()))
		return fmt.Errorf("asking for the GPUs by %s: %w", m.source.Name(), err)
	}
	now := Snapshot{At: time.Now(), Devices: devices}
	usages, noUsages := m.source.Processes(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now.Processes, now.Err = usages, errors.Join(err, noUsages)
	now.PIDsVisible = named(usages, os.Getpid())
	m.store(now)
	return nil
}

// failed is the snapshot after a look that saw nothing.
func failed(before Snapshot, err error, now time.Time) Snapshot {
	before.Err = err
	if now.Sub(before.At) > goneAfter {
		before.Devices, before.Processes = nil, nil
	}
	return before
}

// store keeps a snapshot, and says what is new to an operator.
func (m *Monitor) store(now Snapshot) {
	before := m.Snapshot()
	m.latest.Store(&now)
	switch {
	case now.Err != nil && before.Err == nil:
		m.log.Warn("the GPUs do not all answer", "source", m.source.Name(), "error", now.Err)
	case now.Err == nil && before.Err != nil:
		m.log.Info("the GPUs answer again", "source", m.source.Name())
	}
	for _, d := range missing(before.Devices, now) {
		m.log.Warn("a GPU is gone", "gpu", d.UUID, "name", d.Name)
	}
	for _, d := range missing(now.Devices, before) {
		m.log.Info("a GPU is here", "gpu", d.UUID, "name", d.Name, "memory", d.Total)
	}
}

// missing are those of devices that s does not have.
func missing(devices []Device, s Snapshot) []Device {
	return slices.DeleteFunc(slices.Clone(devices), func(d Device) bool {
		_, found := s.Device(d.UUID)
		return found
	})
}
