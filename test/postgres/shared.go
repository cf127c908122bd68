package postgres

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// Shared is one server for all tests of a package: the first that needs it starts
// it, and TestMain stops it.
type Shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Server returns the server. Without PostgreSQL on this machine it skips the test.
func (s *Shared) Server(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = Start(t.Context()) })
	if errors.Is(s.err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Database returns the URL of an empty database. Without PostgreSQL on this
// machine it skips the test.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	url, err := s.Server(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Stop ends the server, if there is one.
func (s *Shared) Stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}
