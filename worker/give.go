package worker

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// builder is the user that tools run with where commands have users of their own: as root they
// could read what is root's alone, and strangers' code builds in them. See Debian's base-passwd on nobody.
const builder = 65534

// giveAway gives a directory that nobody uses meanwhile, and what is in it and ours, to the user. What has
// another name as well stays: that may be anywhere.
func giveAway(dir string, user int) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(stat.Uid) != os.Geteuid() || !d.IsDir() && stat.Nlink > 1 {
			return nil
		}
		return os.Lchown(path, user, user)
	})
}
