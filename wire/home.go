package wire

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// DialHome joins a balancer without an inbound port, and stays joined until ctx
// ends; then it returns nil, once what is under way has its answer, or after
// homeGrace. It returns an error
// when the first join is refused, because of the token for example; it keeps
// trying when the balancer is merely away, and after it has joined once.
func DialHome(ctx context.Context, cfg HomeConfig) error {
	h, err := newHome(cfg)
	if err != nil {
		return err
	}
	handler := NewHandler(HandlerConfig{Host: cfg.Host, Auth: trusted{}, Body: cfg.Body, Log: cfg.Log})
	defer handler.Close()
	server := h.server(handler)
	serveCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(serveCtx, h.listener) })
	defer serving.Wait()
	defer stop() // before the line above
	err = h.keep(ctx)
	handler.StopWatches()
	// The balancer sees the end of the status, and closes what is idle. We must not be the
	// first: a run that is on its way would be lost, which is refused here otherwise.
	h.conns.awaitNone(homeGrace)
	return err
}

func (h *home) server(handler *Handler) *Server {
	return &Server{Handler: handler, OnShutdown: handler.StopWatches, Log: h.cfg.Log, connState: h.conns.follow, patient: true, Idle: unusedHome}
}

// unusedHome is when this side closes a connection that the balancer does not
// use. The balancer has closed it before (idleDialled), unless something on the
// way keeps it open that passes nothing on any more.
const unusedHome = 60 * time.Second

// homeGrace is how long answers under way may take to leave at the end.
const homeGrace = 5 * time.Second

// A home keeps a server joined. Its fields belong to the goroutine in keep,
// unless they say otherwise.
type home struct {
	cfg      HomeConfig
	log      *slog.Logger
	dial     func(ctx context.Context) (*homeConn, error) // any goroutine
	listener *homeListener                                // any goroutine
	conns    *census                                      // any goroutine
	dialing  int
	failures int           // dials that failed since the last one that did not
	retryAt  time.Time     // no dial before
	joined   bool          // ever
	away     bool          // not joined now, and that was said
	instance string        // the balancer's name of what was joined last
	joinedAt time.Time     // when that was
	flaps    int           // joins in a row that did not last
	pause    time.Duration // of the last of them, until it begins; see rest
}

func newHome(cfg HomeConfig) (*home, error) {
	u, token, err := cfg.whom()
	if err != nil {
		return nil, err
	}
	if cfg.ServerID == "" || cfg.Name == "" {
		return nil, function.Errorf(function.CodeBadRequest, "a server needs an id and a name to join")
	}
	return &home{
		cfg: cfg, log: orDiscard(cfg.Log).With("balancer", u.String()),
		dial: joinDial(u, token, cfg), listener: newHomeListener(), conns: newCensus(), away: true,
	}, nil
}

// A dialled is what one dial came to.
type dialled struct {
	conn *homeConn
	err  error
}

// keep dials whenever connections are missing.
func (h *home) keep(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan dialled)
	defer func() { // the dials under way have no other reader
		cancel()
		for ; h.dialing > 0; h.dialing-- {
			if d := <-results; d.conn != nil {
				d.conn.Close()
			}
		}
	}()
	for ctx.Err() == nil {
		for range h.due(time.Now()) {
			h.dialing++
			go func() {
				conn, err := h.dial(ctx)
				results <- dialled{conn, err}
			}()
		}
		if err := h.wait(ctx, results); err != nil {
			return err
		}
	}
	return nil
}

// wait returns after the next thing that may change what is due.
func (h *home) wait(ctx context.Context, results <-chan dialled) error {
	var retry <-chan time.Time
	if pause := time.Until(h.retryAt); pause > 0 && h.dialing == 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		retry = timer.C
	}
	select {
	case <-ctx.Done():
	case <-h.conns.changed:
	case <-retry:
	case d := <-results:
		h.dialing--
		return h.took(ctx, d)
	}
	return nil
}

// due returns how many dials to begin now. While nothing is known to work, one
// is tried at a time.
func (h *home) due(now time.Time) int {
	fresh, used := h.conns.count()
	if fresh+used == 0 && h.joined && !h.away {
		h.away = true
		h.retryAt = now.Add(backoff(h.flaps+1, false, rand.Float64()))
		h.log.Warn("the connection to the balancer is lost; joining again")
	}
	if now.Before(h.retryAt) {
		return 0
	}
	n := missing(fresh, used, h.dialing)
	if h.away || h.failures > 0 {
		n = min(n, 1-h.dialing)
	}
	return max(n, 0)
}

// took carries out what a dial came to.
func (h *home) took(ctx context.Context, d dialled) error {
	if d.err == nil {
		h.welcome(d.conn)
		return nil
	}
	if ctx.Err() != nil {
		return nil
	}
	refused := isRefusal(d.err)
	if refused && !h.joined {
		return d.err
	}
	if h.failures == 0 {
		h.log.Warn("cannot join the balancer; trying again", "error", d.err)
	}
	h.failures++
	h.retryAt = time.Now().Add(backoff(h.failures, refused, rand.Float64()))
	return nil
}

// welcome hands a new connection to the server. The first one of a session
// means that the server has joined, or joined again.
func (h *home) welcome(conn *homeConn) {
	h.failures = 0
	anew := h.away || conn.instance != h.instance
	h.instance = conn.instance
	h.conns.add()
	h.listener.deliver(conn)
	now := time.Now()
	if anew {
		h.hasJoined(now)
	}
	h.rest(now)
}

func (h *home) hasJoined(now time.Time) {
	h.countFlap(now)
	h.away, h.joined = false, true
	h.log.Info("joined the balancer")
	if h.cfg.OnJoined != nil {
		h.cfg.OnJoined()
	}
}

// countFlap slows down who joins again and again: a balancer that drops a server
// at once must not be dialled without a pause.
func (h *home) countFlap(now time.Time) {
	if now.Sub(h.joinedAt) >= settled {
		h.flaps, h.pause = 0, 0
	} else {
		h.flaps++
		h.pause = backoff(h.flaps, false, rand.Float64())
	}
	h.joinedAt = now
}

// rest begins the pause of a join that followed a short one, once it has the connections that it
// needs. With the first one alone, which its status takes, the server would serve nothing until
// the pause is over.
func (h *home) rest(now time.Time) {
	free, active := h.conns.count()
	if h.pause > 0 && missing(free, active, 0) == 0 {
		h.retryAt, h.pause = now.Add(h.pause), 0
	}
}

// isRefusal reports whether the balancer itself said no for a reason that time
// does not mend.
func isRefusal(err error) bool {
	var e *function.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case function.CodeUnauthorized, function.CodeForbidden, function.CodeBadRequest:
		return true
	}
	return false
}
