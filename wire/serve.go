package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/http1"
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
	// Idle is how long a connection may be idle before it is closed; 0 means 90 s, which is longer
	// than a Client keeps one.
	Idle time.Duration
	// OnShutdown is called when the end begins, to end what would never end
	// itself: Handler.StopWatches.
	OnShutdown func()
	// Log gets what net/http has to say; nil: nowhere.
	Log *slog.Logger

	connState func(net.Conn, http.ConnState) // DialHome's
	patient   bool                           // a request's headers may take any time
}

// Serve serves until ctx ends, and then shuts down: it takes no new connection,
// lets requests end for as long as Grace, and returns when the last handler
// has. It closes ln. The error is nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	base, cancel := s.base()
	defer cancel(nil)
	server := s.httpServer(base)
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
	server.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) httpServer(base context.Context) *http1.Server {
	return http1.New(http1.Config{
		Handler: s.Handler, IdleTimeout: s.idleTimeout(), HeaderTimeout: s.headerTimeout(), ConnState: s.connState,
		Base: base, PlainAnswer: plainAnswer(),
		ErrorLog: slog.NewLogLogger(orDiscard(s.Log).Handler(), slog.LevelWarn),
	})
}

// plainAnswer is for who forgets the s of https. It says that nothing was started.
func plainAnswer() []byte {
	body, _ := json.Marshal(refusal{Code: function.CodeBadRequest, // strings: cannot fail
		Error: "this port speaks TLS; write https:// where the address has http:// now"})
	body = append(body, '\n')
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: %s\r\n%s: %s\r\n%s: no\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		typeJSON, headerVersion, Version, headerStarted, len(body), body)
}

func (s *Server) idleTimeout() time.Duration { return cmp.Or(s.Idle, idleTimeout) }

// headerTimeout is how long a request's headers may take; 0: for ever.
func (s *Server) headerTimeout() time.Duration {
	if s.patient {
		return 0
	}
	return readHeaderTimeout
}

// base is what the requests' contexts come from, and what ends them. Only who wants a
// last answer pays for it.
func (s *Server) base() (context.Context, context.CancelCauseFunc) {
	if s.Last == 0 {
		return context.Background(), func(error) {}
	}
	return context.WithCancelCause(context.Background())
}

func (s *Server) shutdown(server *http1.Server, cancel context.CancelCauseFunc) {
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

func shutdownWithin(server *http1.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return server.Shutdown(ctx)
}
