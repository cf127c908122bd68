package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/whiskaway/whiskaway/platform/store"
	"github.com/whiskaway/whiskaway/test/postgres"
)

// options are the flags.
type options struct {
	activations, questions, writes int
}

func main() {
	var o options
	flag.IntVar(&o.activations, "activations", 100_000, "records in the store")
	flag.IntVar(&o.questions, "questions", 1000, "how often each question is asked")
	flag.IntVar(&o.writes, "writes", 1000, "records written each second in the second half of the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/store:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	return errors.Join(runSQLite(ctx, o), runPostgres(ctx, o))
}

func runSQLite(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-store-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	s, err := store.OpenSQLite(ctx, filepath.Join(dir, "platform.db"), slog.Default())
	if err != nil {
		return err
	}
	return errors.Join(measure(ctx, "SQLite", s, o), s.Close())
}

func runPostgres(ctx context.Context, o options) (err error) {
	server, err := postgres.Start(ctx)
	if errors.Is(err, postgres.ErrMissing) {
		fmt.Printf("\nPostgreSQL was not measured: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	url, err := server.Database(ctx)
	if err != nil {
		return err
	}
	s, err := store.OpenPostgres(ctx, url, slog.Default())
	if err != nil {
		return err
	}
	return errors.Join(measure(ctx, "PostgreSQL", s, o), s.Close())
}
