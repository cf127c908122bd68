//go:build unix

package wire

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// tryLock takes a file's lock if it is free. The lock ends with the file, or with the process.
func tryLock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}

// giveTo makes the owner of a directory the owner of a new file in it: root may
// manage the tokens of a host that is another user.
func giveTo(owner fs.FileInfo, f *os.File) error {
	stat, ok := owner.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}
