package http1

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says how a Server serves.
type Config struct {
	Handler http.Handler
	// IdleTimeout is how long a connection may be idle; 0: for ever.
	IdleTimeout time.Duration
	// HeaderTimeout is how long a request's headers may take; 0: for ever.
	HeaderTimeout time.Duration
	// ConnState is told of the connections as net/http does it. For one
	// connection its calls never overlap. nil: nobody.
	ConnState func(net.Conn, http.ConnState)
	// Base is what the contexts of requests come from; nil: context.Background.
	Base context.Context
	// PlainAnswer is the whole answer, its head included, to who speaks plain HTTP to
	// a TLS connection; nil: none, it is closed.
	PlainAnswer []byte
	// ErrorLog gets what went wrong with connections and handlers.
	ErrorLog *log.Logger
}

// A Server serves the connections of a listener. Use it once.
type Server struct {
	cfg     Config
	std     *http.Server // serves what is not ours
	handed  *handedListener
	tasks   sync.WaitGroup // all goroutines, those of net/http included
	closing atomic.Bool    // no further request is taken on a connection
	stop    chan struct{}  // closed by Close or Shutdown
	clock   clock
	fresh   time.Duration // freshFor, but in tests
	ended   sync.Once

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	none      chan struct{} // not nil: closed when conns becomes empty
}

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Base == nil {
		cfg.Base = context.Background()
	}
	s := &Server{
		cfg: cfg, handed: newHandedListener(), stop: make(chan struct{}), fresh: freshFor,
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.std = &http.Server{
		Handler: cfg.Handler, IdleTimeout: cfg.IdleTimeout, ReadHeaderTimeout: cfg.HeaderTimeout,
		ErrorLog: cfg.ErrorLog, Protocols: &protocols, ConnState: s.handedState,
		BaseContext: func(net.Listener) context.Context { return cfg.Base },
	}
	return s
}

// Serve serves the connections of l until Shutdown or Close, and then returns
// http.ErrServerClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if !s.follow(l) {
		l.Close()
		return http.ErrServerClosed
	}
	defer s.unfollow(l)
	s.tasks.Go(func() { s.std.Serve(s.handed) })
	s.tasks.Go(s.sweep)
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.take(conn)
			continue
		case s.closing.Load():
			return http.ErrServerClosed
		case !isTemporary(err):
			return err
		}
		// As net/http does it: the machine may be out of file descriptors for a while.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.logf("http1: accepting a connection: %v; trying again in %v", err, pause)
		select {
		case <-time.After(pause):
		case <-s.stop:
			return http.ErrServerClosed
		}
	}
}

func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func (s *Server) follow(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

// unfollow closes l, unless the server's end has done it.
func (s *Server) unfollow(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.listeners[l]; open {
		delete(s.listeners, l)
		l.Close()
	}
}

// take serves a connection in a goroutine of its own.
func (s *Server) take(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	closing := s.closing.Load()
	if !closing {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if closing {
		nc.Close()
		return
	}
	s.tell(nc, http.StateNew)
	s.tasks.Go(c.serve)
}

// drop forgets a connection.
func (s *Server) drop(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

func (s *Server) tell(nc net.Conn, state http.ConnState) {
	if s.cfg.ConnState != nil {
		s.cfg.ConnState(nc, state)
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.cfg.ErrorLog != nil {
		s.cfg.ErrorLog.Printf(format, args...)
	}
}

// Shutdown takes no new connection, closes the idle ones, and waits until the
// others, with those that are just new, have had their answers, or until ctx ends: then its error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	none := s.end()
	failed := s.std.Shutdown(ctx)
	select {
	case <-none:
		return failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes everything at once.
func (s *Server) Close() error {
	s.end()
	s.mu.Lock()
	for c := range s.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	return s.std.Close()
}

// end begins the end. It returns what is closed when no connection is left.
func (s *Server) end() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	s.ended.Do(func() { close(s.stop) })
	for l := range s.listeners {
		l.Close()
	}
	clear(s.listeners)
	now := time.Now()
	for c := range s.conns {
		c.closeIfIdle(now)
	}
	none := make(chan struct{})
	switch {
	case len(s.conns) == 0:
		close(none)
	case s.none == nil:
		s.none = none
	default:
		none = s.none
	}
	return none
}

// endFresh closes the new connections whose first request has not come in time.
func (s *Server) endFresh() {
	timer := time.NewTimer(s.fresh)
	defer timer.Stop()
	select {
	case <-s.end():
	case <-timer.C:
		s.end()
	}
}

// Wait returns when every goroutine of the server has ended, which Shutdown or
// Close must have begun.
func (s *Server) Wait() { s.tasks.Wait() }

// sweepEvery is how often connections are looked at that are idle, or slow.
const sweepEvery = 2 * time.Second

// sweep closes the connections that are idle for too long, or whose headers take
// too long. Deadlines would do it too, at the price of two calls for each request.
func (s *Server) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.stop:
			s.endFresh()
			return
		}
		now := time.Now()
		s.mu.Lock()
		for c := range s.conns {
			c.closeIfLate(now)
		}
		s.mu.Unlock()
	}
}
