package sandbox

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// setMount sets and clears attributes (MOUNT_ATTR_...) of the mount at path, or of all
// mounts from there down.
func setMount(path string, recursive bool, set, clear uint64) error {
	flags := uint(0)
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: set, Attr_clr: clear})
	if !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// Before Linux 5.12.
	if !recursive {
		return remount(path, set, clear)
	}
	return remountAll(path, set, clear)
}

// remount changes one mount. The flags of the two interfaces have the same numbers,
// as far as we use them, and those that are not named must be repeated.
func remount(path string, set, clear uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return err
	}
	const kept = unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME
	flags := uint64(st.Flags)&kept | set
	flags &^= clear
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	return unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|uintptr(flags), "")
}

// remountAll changes the mounts that can be reached at or below path. What we cannot
// reach, the command cannot either.
func remountAll(path string, set, clear uint64) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if !within(point, path) {
			continue
		}
		err := remount(point, set, clear)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return nil
}
