package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/whiskaway/whiskaway/test/postgres"
)

// server is one PostgreSQL server for all tests of this package.
var server postgres.Shared

func TestMain(m *testing.M) {
	status := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// A place is where a database is: it can be opened, closed and opened again.
type place struct {
	try func(ctx context.Context, log *slog.Logger) (*Database, error)
}

// open opens the database until the test ends.
func (p place) open(t testing.TB) *Database {
	t.Helper()
	s, err := p.try(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newPostgres(t testing.TB) place {
	url := server.Database(t)
	return place{func(ctx context.Context, log *slog.Logger) (*Database, error) { return OpenPostgres(ctx, url, log) }}
}

// onEach runs a test on an empty place of each kind. Every test of what a Store
// does is run by it.
func onEach(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newFile(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, newPostgres(t)) })
}
