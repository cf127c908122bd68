package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockPatience is how long other processes may keep the tokens to themselves. Each
// needs them for a few file operations.
const lockPatience = 20 * time.Second

// lock keeps other processes from changing the tokens until unlock is called.
func (d TokenDir) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(string(d), "tokens.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s; say with --data where the host keeps its data", string(d))
	}
	if err != nil {
		return nil, fmt.Errorf("locking the tokens: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if owner, err := os.Stat(string(d)); err == nil {
		giveTo(owner, f) // who cannot has no need to
	}
	if err := awaitLock(ctx, f); err != nil {
		f.Close()
		return nil, lockFailed(f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// lockFailed says what to do about a lock that was not had.
func lockFailed(path string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("another process has locked the tokens (%s): end it, or try again when it is done: %w", path, err)
	}
	return fmt.Errorf("locking the tokens: %s cannot be locked; keep the data directory on a local disk, for not every network's can: %w", path, err)
}

// awaitLock takes the lock of a file as soon as it is free. The kernel tells nobody when that is.
func awaitLock(ctx context.Context, f *os.File) error {
	const pause = 10 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if taken, err := tryLock(f); taken || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
