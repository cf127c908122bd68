package platform

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// StoreConfig is where the platform keeps its state, and for how long.
type StoreConfig struct {
	// URL names a PostgreSQL database, "postgres://…"; empty: a file of SQLite in the
	// platform's directory.
	URL string
	// Sync makes SQLite wait for the disk at each write, so that a power cut loses
	// nothing. A PostgreSQL server has settings of its own for that.
	Sync bool
	// KeepActivations is how long activation records are kept; 0: for ever.
	KeepActivations time.Duration
}

// claimWithin is how long a platform that was killed may still seem to be there.
const claimWithin = 5 * time.Second

// OpenStore opens the database that c names; dir is the platform's directory. The
// caller closes it. A program beside the platform may open it, too.
func OpenStore(ctx context.Context, c StoreConfig, dir string, log *slog.Logger) (*store.Database, error) {
	file := filepath.Join(dir, "platform.db")
	switch {
	case c.URL == "" && c.Sync:
		return store.OpenSQLiteSynced(ctx, file, log)
	case c.URL == "":
		return store.OpenSQLite(ctx, file, log)
	case c.Sync:
		return nil, errors.New("when a PostgreSQL server waits for its disk is its own setting, synchronous_commit; only a file in the data directory can be told here")
	}
	if !strings.HasPrefix(c.URL, "postgres://") && !strings.HasPrefix(c.URL, "postgresql://") {
		return nil, errors.New("the store is named by a URL, postgres://USER@HOST:5432/DATABASE; without one it is a file in the data directory")
	}
	return store.OpenPostgres(ctx, c.URL, log)
}

// openStore opens the platform's own database and makes it so that no other
// platform uses it.
func (p *Platform) openStore(ctx context.Context) error {
	db, err := OpenStore(ctx, p.cfg.Store, p.cfg.Dir, p.cfg.Log)
	if err != nil {
		return err
	}
	if err := db.Claim(ctx, claimWithin, func(err error) { p.failed <- err }); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := db.TakeOver(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	if keep := p.cfg.Store.KeepActivations; keep > 0 {
		db.KeepActivations(keep)
	}
	p.store = db
	return nil
}

// Failed tells, once at most, why the platform must end: it has lost its database
// to another one.
func (p *Platform) Failed() <-chan error { return p.failed }
