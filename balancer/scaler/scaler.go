package scaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Config says how a Scaler is set up. Zero values mean the defaults.
type Config struct {
	Pools        []Pool
	Max          int           // machines at a time, all pools together; 4
	Idle         time.Duration // after which a server that nobody needs is stopped; 10 minutes
	StartTimeout time.Duration // within which a machine's server must join; 10 minutes
	Log          *slog.Logger  // discarded when nil
}

// A Pool is machines that are alike: what one driver starts.
type Pool struct {
	Labels []string // what their servers have, sorted; functions may ask for some of these
	Driver Driver
}

// Name is what the pool's driver is given as the label: "gpu", or "gpu&region=eu".
func (p Pool) Name() string { return strings.Join(p.Labels, "&") }

// The defaults.
const (
	DefaultMax          = 4
	DefaultIdle         = 10 * time.Minute
	DefaultStartTimeout = 10 * time.Minute
)

const (
	moment     = 3 * time.Second        // runs that wait no longer are not worth a server
	lookEvery  = time.Second            // at the fleet
	lookGap    = 100 * time.Millisecond // between two looks, at least
	listEvery  = 10 * time.Second       // where there is something
	listSeldom = time.Minute            // where there was nothing
	listSoon   = 2 * time.Second        // where something starts or ends, or a List has failed
	callLimit  = 5 * time.Minute        // for one call of a driver
	closeLimit = 30 * time.Second       // for a Close
)

// A Scaler keeps as many servers as are needed. Make it with New, and let one Run go on.
type Scaler struct {
	cfg   Config
	pools []*pool
	ended chan call // calls of drivers; has room for one of each pool
	calls sync.WaitGroup
}

// New checks cfg. It calls no driver.
func New(cfg Config) (*Scaler, error) {
	if cfg.Max == 0 {
		cfg.Max = DefaultMax
	}
	if cfg.Idle == 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = DefaultStartTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Max < 0 || cfg.Idle < 0 || cfg.StartTimeout < 0 {
		return nil, errors.New("the scaler's limits must not be negative")
	}
	s := &Scaler{cfg: cfg, ended: make(chan call, len(cfg.Pools))}
	for _, p := range cfg.Pools {
		if slices.ContainsFunc(s.pools, func(o *pool) bool { return slices.Equal(o.Labels, p.Labels) }) {
			return nil, fmt.Errorf("the label %s is to be scaled twice; name it once", p.Name())
		}
		s.pools = append(s.pools, newPool(p))
	}
	return s, nil
}

// Run scales until ctx ends, and then waits for the calls of drivers, which end
// soon after. Machines stay, except those of a Closer.
func (s *Scaler) Run(ctx context.Context, b Balancer) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		demanded := b.Demanded() // before looking, so that none is missed
		s.look(ctx, b, time.Now())
		s.pause(ctx, lookGap)
		select {
		case <-ctx.Done():
		case c := <-s.ended:
			s.took(c, time.Now())
		case <-demanded:
		case <-tick.C:
		}
	}
	s.calls.Wait()
	return s.close()
}

func (s *Scaler) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// look takes over what the balancer has, and does what plan says.
func (s *Scaler) look(ctx context.Context, b Balancer, now time.Time) {
	if s.see(b.Fleet(), now) {
		b.Reconsider()
	}
	view := s.snapshot()
	for _, a := range plan(view, now) {
		s.do(ctx, b, s.pools[a.pool], a, now)
	}
	for _, p := range s.pools {
		if !p.calling && !now.Before(p.listAt) {
			s.call(ctx, p, call{verb: list})
		}
	}
	s.explain(view, now)
}

// see takes over what the balancer has. A demand goes to the first pool that can
// do something about it, and to the next ones too while that has trouble. It reports
// whether something waits that no pool can help any more.
func (s *Scaler) see(fleet Fleet, now time.Time) (reconsider bool) {
	came := make([]bool, len(s.pools))
	for i, p := range s.pools {
		came[i] = p.seeServers(fleet.Servers, now)
	}
	for _, d := range fleet.Demands {
		for _, p := range s.pools {
			taken, lacking := p.wants(d, now)
			reconsider = reconsider || lacking
			if taken {
				break
			}
		}
	}
	for i, p := range s.pools {
		p.press(came[i], now)
		reconsider = reconsider || p.refuse
		p.refuse = false
	}
	return reconsider
}

func (s *Scaler) snapshot() snapshot {
	view := snapshot{max: s.cfg.Max, idle: s.cfg.Idle, startTimeout: s.cfg.StartTimeout, moment: moment}
	for _, p := range s.pools {
		view.pools = append(view.pools, p.view())
	}
	return view
}

// do carries out one action. Only calls of drivers take time, so only these are
// made elsewhere.
func (s *Scaler) do(ctx context.Context, b Balancer, p *pool, a action, now time.Time) {
	log := s.cfg.Log.With("label", p.Name())
	switch a.verb {
	case start:
		log.Info("scaler: starting servers", "n", a.n, "waiting", p.unfit+p.queued)
		s.call(ctx, p, call{verb: start, n: a.n})
	case stop, giveUp:
		if a.verb == giveUp {
			why := p.machines[a.server].whyNot(s.cfg.StartTimeout)
			log.Warn("scaler: a server did not join", "server", a.server, "limit", s.cfg.StartTimeout, "why", p.machines[a.server].why)
			p.failed(now, why)
		}
		log.Info("scaler: stopping a server", "server", a.server)
		s.call(ctx, p, call{verb: stop, server: a.server})
	case resume:
		log.Info("scaler: a drained server is needed again", "server", a.server)
		p.machines[a.server].since = now
		b.Uncordon(a.server)
	case drain:
		log.Info("scaler: draining a server that nobody needs", "server", a.server, "idle", s.cfg.Idle)
		if err := b.Cordon(ctx, a.server); err != nil {
			log.Info("scaler: draining failed", "server", a.server, "error", err)
		}
	}
}

// close ends the machines of those drivers whose machines are to end with us.
func (s *Scaler) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var errs []error
	for _, p := range s.pools {
		if c, ok := p.Driver.(Closer); ok {
			errs = append(errs, c.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
