package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	binary := flag.String("binary", "bin/whiskaway", "the whiskaway binary")
	dir := flag.String("dir", ".demo", "where the demo keeps its data")
	examples := flag.String("examples", "examples", "the folder of the example functions")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, newConsole(os.Stdout), *binary, *dir, *examples)
	cancel()
	os.Exit(code)
}

// run does the whole demo and returns the exit code.
func run(ctx context.Context, say *console, binary, dir, examples string) int {
	// A reader of our output that goes away must not end us before we cleaned up.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	d, err := prepare(say, binary, dir, examples)
	if err != nil {
		say.line("The demo cannot start: %v", err)
		return 1
	}
	defer d.lock.Close()
	d.run(ctx)
	return d.verdict(ctx)
}

// prepare checks what we were given and takes the folder for us alone.
func prepare(say *console, binary, dir, examples string) (*demo, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the binary is missing (%w); `make build` makes it", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	// Processes know the folder by its real path.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	return &demo{say: say, binary: binary, dir: dir, examples: examples, lock: lock}, nil
}

// takeLock keeps a second demo out of dir; the lock ends with us.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another demo is running in %s (%w); let it end first", dir, err)
	}
	return f, nil
}
