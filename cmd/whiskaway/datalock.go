package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockFile is in a data directory that somebody uses, with the number of its process.
const lockFile = "lock"

// takeData makes the data directory if it is missing, and makes it ours until release is
// called or this process ends. who names the commands that would use it.
func takeData(dir, who string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w; %s", err, dataAdvice(err))
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing in the data directory: %w; %s", err, dataAdvice(err))
	}
	if err := takeLock(f, dir, who); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func takeLock(f *os.File, dir, who string) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("the data directory %s is in use by another %s%s; stop that one, or choose another directory with --data", dir, who, processIn(f))
	}
	if err != nil {
		return fmt.Errorf("locking the data directory %s: %w", dir, err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		return fmt.Errorf("writing in the data directory: %w; %s", err, dataAdvice(err))
	}
	return nil
}

// processIn says which process has the lock, if the file tells.
func processIn(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// dataAdvice says what to do about a data directory that cannot be used.
func dataAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on its disk, or choose a directory on another one with --data"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "this user must be able to write there; or choose another directory with --data"
	}
	return "choose another directory with --data"
}
