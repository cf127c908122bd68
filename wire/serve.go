package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// idleTimeout is when a server closes an idle connection; every client
	// of ours closes it before.
	idleTimeout       = 90 * time.Second
	readHeaderTimeout = 10 * time.Second
)

// A Server serves HTTP on a listener until it is told to end.
type Server struct {
	Handler http.Handler
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Grace is how long requests under way may take at the end; then they are cut.
	Grace time.Duration
	// Last is how long they may take after Grace when their contexts were told,
	// for a last answer; 0: they are cut at once.
	Last time.Duration
	// OnShutdown is called when the end begins, to end what would never end
	// itself: Handler.StopWatches.
	OnShutdown func()
	// Log gets what net/http has to say; nil: nowhere.
	Log *slog.Logger

	connState   func(net.Conn, http.ConnState) // DialHome's
	headerLimit time.Duration                  // 0: readHeaderTimeout
}

// Serve serves until ctx ends, and then shuts down: it takes no new connection,
// lets requests end for as long as Grace, and returns when the last handler
// has. It closes ln. The error is nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var conns sync.WaitGroup // serving goroutines of net/http
	base, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	server := s.httpServer(&conns)
	server.BaseContext = func(net.Listener) context.Context { return base }
	if s.TLS != nil {
		ln = tls.NewListener(ln, s.TLS)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	var err error
	select {
	case <-ctx.Done():
		s.shutdown(server, cancel)
		<-failed
	case err = <-failed:
		server.Close()
	}
	conns.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) httpServer(conns *sync.WaitGroup) *http.Server {
	server := &http.Server{
		Handler:           s.Handler,
		IdleTimeout:       idleTimeout,
		ReadHeaderTimeout: cmp.Or(s.headerLimit, readHeaderTimeout),
		ErrorLog:          slog.NewLogLogger(orDiscard(s.Log).Handler(), slog.LevelWarn),
		Protocols:         http1(),
		ConnState: func(c net.Conn, state http.ConnState) {
			countConn(conns, state)
			if s.connState != nil {
				s.connState(c, state)
			}
		},
	}
	return server
}

// countConn follows net/http's goroutines: it makes one after StateNew, which
// ends with one of the others, or with its handler when that has hijacked.
func countConn(conns *sync.WaitGroup, state http.ConnState) {
	switch state {
	case http.StateNew:
		conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		conns.Done()
	}
}

func (s *Server) shutdown(server *http.Server, cancel context.CancelCauseFunc) {
	if s.OnShutdown != nil {
		s.OnShutdown()
	}
	if shutdownWithin(server, s.Grace) == nil {
		return
	}
	cancel(function.Errorf(function.CodeDraining, "This program was told to stop, and the request did not end within %v.", s.Grace))
	if s.Last == 0 || shutdownWithin(server, s.Last) != nil {
		server.Close()
	}
}

func shutdownWithin(server *http.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return server.Shutdown(ctx)
}
