package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/platform"
)

// What the environment says of the platform's database. Their values are for us alone.
const (
	storeVariable    = "WHISKAWAY_STORE"
	passwordVariable = "PGPASSWORD" // as for all of PostgreSQL's programs
)

// storeFlags say where the platform keeps its state.
type storeFlags struct {
	url  string
	sync bool
	keep time.Duration
}

func (s *storeFlags) add(f *pflag.FlagSet) {
	s.addURL(f)
	f.BoolVar(&s.sync, "store-sync", false, "wait for the disk at each write, so that a power cut loses nothing; slower")
	f.DurationVar(&s.keep, "keep-activations", 7*24*time.Hour, "how long activation records are kept; 0: for ever")
}

// addURL adds what commands beside the platform need, too.
func (s *storeFlags) addURL(f *pflag.FlagSet) {
	f.StringVar(&s.url, "store", "", "a PostgreSQL database for the platform's state, as postgres://USER@HOST/DATABASE; "+storeVariable+" says the same (default: a file in the data directory)")
}

// config returns what flags and environment say, and takes secrets out of what /proc shows of us.
func (s *storeFlags) config() (platform.StoreConfig, error) {
	c := platform.StoreConfig{URL: cmp.Or(s.url, os.Getenv(storeVariable)), Sync: s.sync, KeepActivations: s.keep}
	if s.keep < 0 {
		return c, fmt.Errorf("--keep-activations %v: it is a time such as 168h, or 0 to keep them for ever", s.keep)
	}
	for _, variable := range []string{storeVariable, passwordVariable} {
		if value := os.Getenv(variable); value != "" {
			hideEnvironment(variable, value)
		}
	}
	return c, nil
}

// untilFailed returns why the platform must end, or nil when ctx ends.
func untilFailed(ctx context.Context, p *platform.Platform) error {
	select {
	case err := <-p.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
}

// forgetStore takes the secrets out of the environment once they were used: nothing that we start from now on
// inherits them.
func forgetStore() {
	os.Unsetenv(storeVariable)
	os.Unsetenv(passwordVariable)
}
