package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

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
	server := s.httpServer()
	if s.TLS != nil {
		ln = tls.NewListener(ln, s.TLS)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	var err error
	select {
	case <-ctx.Done():
		s.shutdown(server)
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

func (s *Server) httpServer() *http1.Server {
	return http1.New(http1.Config{
		Handler: s.Handler, IdleTimeout: s.idleTimeout(), HeaderTimeout: s.headerTimeout(), ConnState: s.connState,
		ErrorLog: slog.NewLogLogger(orDiscard(s.Log).Handler(), slog.LevelWarn),
	})
}

func (s *Server) idleTimeout() time.Duration { return cmp.Or(s.Idle, idleTimeout) }

// headerTimeout is how long a request's headers may take; 0: for ever.
func (s *Server) headerTimeout() time.Duration {
	if s.patient {
		return 0
	}
	return readHeaderTimeout
}

func (s *Server) shutdown(server *http1.Server) {
	if s.OnShutdown != nil {
		s.OnShutdown()
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Grace)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
}
