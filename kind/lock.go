package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPause is the time between two tries. What is waited for takes seconds.
const lockPause = 50 * time.Millisecond

// errLocked says that somebody else has the lock.
var errLocked = errors.New("somebody else has the lock")

// How a file is locked.
const (
	shared    = syscall.LOCK_SH
	exclusive = syscall.LOCK_EX
)

// lockFile takes a lock that holds among goroutines and among processes, and
// that the kernel takes back from a process that dies.
func lockFile(ctx context.Context, path string, how int) (unlock func(), err error) {
	for {
		unlock, err := tryLock(path, how)
		if !errors.Is(err, errLocked) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
}

// tryLock is lockFile without waiting: the error is then errLocked. Who has the
// exclusive lock may remove the file; so a lock only counts on the file that is there.
func tryLock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) || err == nil && !isAt(f, path) {
		err = errLocked
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// isAt reports whether the open file is still the one of that name.
func isAt(f *os.File, path string) bool {
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(mine, there)
}
