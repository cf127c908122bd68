package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// goneAfter is how long a session lives without any connection.
	goneAfter = 10 * time.Second
	// tendEvery is how often waiting connections are looked after.
	tendEvery = time.Second
	// lastAnswers is how long answers may take to come in after a session's end.
	lastAnswers = 2 * time.Second
)

var (
	// errGone is why a session ends whose server is away.
	errGone = errors.New("the server's connections are gone")
	// errTokenEnded is why a session ends whose server is trusted no more.
	errTokenEnded = errors.New("its join token was revoked, or has expired")
)

// A session is one life of a server that has dialled home.
type session struct {
	id, serverID, name string
	by                 Principal // whose token all its connections have shown
	// instance is this side's name of the session: who dials sees by it that
	// it has joined anew.
	instance string

	pool   *pool
	client *Client
	direct *direct         // nil: the server cannot be dialled
	parent context.Context // of all sessions
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the server was let go, and may join anew
}

func newSession(parent context.Context, req joinRequest, log *slog.Logger) *session {
	s := &session{
		id: req.session, serverID: req.serverID, name: req.name, by: req.by, instance: function.NewLeaseID(),
		pool: newPool(time.Now), parent: parent, done: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(parent)
	s.client = newPoolClient("the server "+req.name, s.pool.take)
	if req.advertised.URL != "" {
		s.direct, _ = newDirect(s.client, req, log.With("server", s.name, "id", s.serverID)) // parseJoin has checked it
	}
	return s
}

// run lets the balancer use the server until it is gone, replaced or dropped.
func (s *session) run(join func(context.Context, Joining) error, log *slog.Logger) {
	log = log.With("server", s.name, "id", s.serverID, "token", s.by.ID)
	ctx, end := context.WithCancelCause(s.ctx)
	defer s.by.onEnd(func() {
		end(errTokenEnded)
		s.cut() // without waiting for answers: that machine is trusted no more
	})()
	var tending sync.WaitGroup
	tending.Go(func() { s.tend(ctx, end) })
	if s.direct != nil {
		tending.Go(func() { s.direct.keep(ctx) })
	}
	if ctx.Err() == nil {
		log.Info("a server joined", "labels", s.by.Labels)
		err := s.callJoin(ctx, join)
		log.Info("a server left", "reason", reason(ctx, err))
	}
	end(nil)
	s.cancel()
	tending.Wait()
	close(s.done)
	s.part()
}

// cut closes every connection to the server, and lets no further one be made.
func (s *session) cut() {
	s.pool.close()
	if s.direct != nil {
		s.direct.conns.close()
	}
}

// part lets the answers that are on their way come in before the connections are
// closed: a server that ends says so while its last runs still send theirs. Runs on connections that
// we have dialled go on to their end, for the server may have lost only its way to us.
func (s *session) part() {
	s.client.Close() // the idle ones
	if s.direct != nil {
		s.direct.dialled.Close()
	}
	s.pool.retire(s.parent, lastAnswers)
	s.pool.close()
	if s.parent.Err() != nil { // the balancer itself ends
		s.cut()
	}
}

func (s *session) callJoin(ctx context.Context, join func(context.Context, Joining) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("a panic was caught: %v\n%s", v, debug.Stack())
		}
	}()
	return join(ctx, Joining{ServerID: s.serverID, Name: s.name, Host: s.host(), Labels: s.by.Labels})
}

// host is the server as the balancer sees it.
func (s *session) host() function.Host {
	if s.direct != nil {
		return s.direct
	}
	return s.client
}

// tend drops waiting connections that died or grew old, and ends the session
// when there has been none for a while.
func (s *session) tend(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.pool.sweep()
		if s.pool.emptyFor() >= goneAfter {
			end(errGone)
			return
		}
	}
}

func reason(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause.Error()
	}
	if err != nil {
		return err.Error()
	}
	return "it was let go"
}
