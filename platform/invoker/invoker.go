package invoker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Completions is where an invoker tells that an activation ended: the topic of
// the controller that asked.
type Completions func(controller string) bus.Topic[*bus.Completed]

// Invoker runs what it takes from a topic.
type Invoker struct {
	cfg     Config
	log     *slog.Logger
	store   store.Store
	pool    *pool
	replies Completions

	runs     bus.Subscription[*bus.Run]
	stop     context.CancelFunc // ends the taking of runs
	kill     context.CancelFunc // ends the runs
	staying  context.Context    // ends when runs that are in the journal and not sent are left
	leave    context.CancelFunc
	keeping  atomic.Bool // what is left is nobody's before the next start
	inFlight chan struct{}
	taking   sync.WaitGroup
	running  sync.WaitGroup
}

// New starts an invoker that takes runs from topic.
func New(cfg Config, driver Driver, st store.Store, topic bus.Topic[*bus.Run], replies Completions, log *slog.Logger) (*Invoker, error) {
	runs, err := topic.Subscribe()
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	v := &Invoker{
		cfg: cfg, log: log, store: st, replies: replies, runs: runs,
		pool:     newPool(driver, cfg, log),
		inFlight: make(chan struct{}, cfg.InFlight),
	}
	takeCtx, stop := context.WithCancel(context.Background())
	runCtx, kill := context.WithCancel(context.Background())
	v.stop, v.kill = stop, kill
	v.staying, v.leave = context.WithCancel(context.Background())
	v.taking.Go(func() { v.take(takeCtx, runCtx) })
	return v, nil
}

// Close takes no more runs, waits for those in flight until ctx ends, cancels
// the rest, and removes all containers. What is in the journal and was not sent goes
// back to the topic, for other invokers.
func (v *Invoker) Close(ctx context.Context) error {
	v.stop()
	v.taking.Wait() // before, or we would be given again what we leave
	v.leave()
	done := make(chan struct{})
	go func() {
		v.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		v.kill()
		<-done
	}
	v.kill()
	v.pool.close()
	return v.runs.Close()
}

// take hands each run to a goroutine of its own, a bounded number at a time.
func (v *Invoker) take(ctx, runCtx context.Context) {
	for {
		select {
		case v.inFlight <- struct{}{}:
		case <-ctx.Done():
			return
		}
		d, err := v.runs.Receive(ctx)
		if err != nil {
			<-v.inFlight
			if ctx.Err() == nil && !errors.Is(err, bus.ErrClosed) {
				v.log.Error("taking a run from the queue", "error", err)
			}
			return
		}
		v.running.Go(func() {
			defer func() { <-v.inFlight }()
			v.handle(runCtx, d)
		})
	}
}

// handle runs one message, writes its record, and tells who waits. It is
// acknowledged before the run is sent: from then on nobody may repeat it.
func (v *Invoker) handle(ctx context.Context, d *bus.Delivery[*bus.Run]) {
	run, received := d.Body, time.Now()
	t := &turn{v: v, d: d}
	e := t.execute(ctx)
	if e == nil {
		t.giveUp()
		return
	}
	// Also of what never came to be sent: its record says why.
	if err := d.Ack(context.Background()); err != nil {
		return
	}
	if err := v.report(run, e, received); err != nil {
		v.log.Error("an activation's end could not be told", "activation", run.ActivationID, "error", err)
	}
}

// report writes the record and tells the controller that waits. No ctx ends it:
// the record of a cancelled run is wanted, too.
func (v *Invoker) report(run *bus.Run, e *execution, received time.Time) error {
	act, err := record(run, e, received).Encode()
	if err != nil {
		return err
	}
	err = v.store.PutActivation(context.Background(), act)
	if run.ReplyTo == "" {
		return err
	}
	m := bus.Message[*bus.Completed]{
		Key:  run.ActivationID,
		Size: len(act.Head) + len(act.Response) + len(act.Logs),
		Body: &bus.Completed{
			ActivationID: run.ActivationID, Status: act.Status,
			Head: act.Head, Response: act.Response, Result: e.result, Logs: act.Logs,
			Duration: e.duration(),
		},
	}
	return errors.Join(err, v.replies(run.ReplyTo).Publish(context.Background(), m))
}
