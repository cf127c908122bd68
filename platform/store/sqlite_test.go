package store

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newFile is a file in a directory whose name needs escaping.
func newFile(t testing.TB) place {
	return file(filepath.Join(t.TempDir(), "a#b?c%d e.db"))
}

func file(path string) place {
	return place{func(ctx context.Context, log *slog.Logger) (*Database, error) { return OpenSQLite(ctx, path, log) }}
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	file(path).open(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestSyncedWaitsForTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	for want, open := range map[int]func(context.Context, string, *slog.Logger) (*Database, error){1: OpenSQLite, 2: OpenSQLiteSynced} {
		s, err := open(t.Context(), path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := s.write.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&got); err != nil || got != want {
			t.Errorf("synchronous is %d, %v; want %d", got, err, want)
		}
		s.Close()
	}
}

func TestABrokenDatabaseIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	if err := os.WriteFile(path, []byte("this is not a database, but a text of some length, is it not?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenSQLite(context.Background(), path, slog.New(slog.DiscardHandler)); err == nil {
		s.Close()
		t.Fatal("a text file was taken for a database")
	} else if !strings.Contains(err.Error(), "move it away") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}
