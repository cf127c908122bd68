package sandbox

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// coverSecrets makes files and directories look empty in the shim's mount namespace.
func coverSecrets(paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue // it is out of sight already
		}
		if info.IsDir() {
			err = unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "size=4k,mode=555")
		} else {
			err = unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("covering %s: %w", path, err)
		}
	}
	return nil
}

// guardOthers puts this thread into a Landlock domain in which all may be done with files but to read the
// secrets. Who is in a domain cannot look into processes outside it, whatever capability it has, and
// cannot change mounts, so not uncover what is covered either.
func guardOthers(f *fence) error {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_READ_FILE)
	if f.Guard >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER // else nothing could be moved to another directory
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("making a Landlock ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	r := ruleset{fd: int(fd), rights: rights}
	for _, path := range without([]string{"/"}, f.uncovered()) {
		if err := r.allowIfThere(path, rights); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("guarding others by Landlock: %w", errno)
	}
	return nil
}

// uncovered are the secrets that only Landlock keeps from being read.
func (f *fence) uncovered() []string {
	if f.Cover {
		return nil
	}
	return f.Secrets
}
