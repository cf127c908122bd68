package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockABI is the version of Landlock that the kernel has, from 1.
func landlockABI() (int, error) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
		return int(version), nil
	case unix.ENOSYS:
		return 0, errors.New("this kernel has no Landlock, or a container's filter refuses it")
	case unix.EOPNOTSUPP:
		return 0, errors.New("this machine was booted without Landlock")
	}
	return 0, fmt.Errorf("asking for Landlock: %w", errno)
}

// What may be done with files. The rest of the rights are for directories.
const (
	lookRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// allRights is what version abi can refuse. See landlock(7) under "Versions"; from 9
// on there is the right to connect to sockets in the file system, which we leave free.
func allRights(abi int) uint64 {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_REFER - 1)
	if abi >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// A ruleset is a Landlock ruleset in the making.
type ruleset struct {
	fd     int
	rights uint64
}

// restrictFiles puts this thread into a Landlock domain.
func restrictFiles(o order) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: allRights(o.Fence.Landlock)}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if o.Fence.Landlock >= landlockScopes {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Offsetof(attr.Quiet_access_fs)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("making a Landlock ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	r := ruleset{fd: int(fd), rights: attr.Handled_access_fs}
	if err := r.fill(o); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("restricting files by Landlock: %w", errno)
	}
	return nil
}

func (r ruleset) fill(o order) error {
	if err := r.system(o); err != nil {
		return err
	}
	// Without these the command cannot be executed, which then says so itself. The
	// executable is named for a probe, whose path leads nowhere.
	for _, path := range []string{o.Dir, filepath.Dir(o.Path), o.Path} {
		if err := r.allowIfThere(path, lookRights); err != nil {
			return err
		}
	}
	for _, path := range o.Readable {
		if err := r.allow(path, lookRights); err != nil {
			return err
		}
	}
	for _, path := range append([]string{o.Temp}, o.Writable...) {
		if err := r.allow(path, r.rights); err != nil {
			return err
		}
	}
	return nil
}

// system allows what every program needs: to look at the system, and to use its
// devices. With a view the masks hide what is not for the command; without one only known
// places are allowed.
func (r ruleset) system(o order) error {
	f := o.Fence
	places, hidden := systemPlaces(), slices.Concat(f.uncovered(), f.Hidden)
	if f.View {
		places, hidden = []string{"/"}, f.uncovered()
		// All may be listed. Device files are in /dev, and a disk must not be opened.
		if err := r.allow("/", unix.LANDLOCK_ACCESS_FS_READ_DIR); err != nil {
			return err
		}
		for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
			if err := r.allowIfThere(dir, r.rights); err != nil {
				return err
			}
		}
	}
	for _, path := range without(places, append(hidden, "/dev")) {
		if err := r.allowIfThere(path, lookRights); err != nil {
			return err
		}
	}
	usable := devices()
	if f.View || o.ownUser() {
		// Else somebody's terminal may be there that has our uid: the operator's.
		usable = append(usable, "/dev/pts")
	}
	for _, path := range usable {
		if err := r.allowIfThere(path, lookRights|fileRights); err != nil {
			return err
		}
	}
	return nil
}

// systemPlaces lists what a command may look at where nothing else hides the rest.
func systemPlaces() []string {
	places := []string{"/usr", "/bin", "/sbin", "/etc", "/opt", "/nix", "/proc", "/sys", "/var/lib/ca-certificates"}
	libraries, _ := filepath.Glob("/lib*")
	return slices.Concat(places, libraries, runtimePlaces())
}

// runtimePlaces lists what programs need from /run: how names are resolved, and
// NVIDIA's persistence daemon.
func runtimePlaces() []string {
	var places []string
	for _, pattern := range []string{"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf", "/run/nvidia*", "/run/opengl-driver"} {
		found, _ := filepath.Glob(pattern)
		places = append(places, found...)
	}
	return places
}

// devices lists the device files that a command may use.
func devices() []string {
	return append(gpuDevices("/dev/dri"), "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx")
}

// without replaces a place that has something hidden below it by its entries
// that have not. Landlock can only add. Hidden are real paths.
func without(places, hidden []string) []string {
	var kept []string
	for _, place := range places {
		real, err := filepath.EvalSymlinks(place)
		if err != nil {
			continue // it is not there
		}
		kept = append(kept, carve(real, hidden)...)
	}
	return kept
}

func carve(place string, hidden []string) []string {
	if slices.ContainsFunc(hidden, func(h string) bool { return within(place, h) }) {
		return nil
	}
	if !slices.ContainsFunc(hidden, func(h string) bool { return within(h, place) }) {
		return []string{place}
	}
	var kept []string
	entries, _ := os.ReadDir(place) // what cannot be listed is not allowed
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 { // what a link points to is allowed by itself, or not
			kept = append(kept, carve(filepath.Join(place, e.Name()), hidden)...)
		}
	}
	return kept
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(dir, "/"))
}

func (r ruleset) allowIfThere(path string, rights uint64) error {
	err := r.allow(path, rights)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return nil // not for us, so not for the command
	}
	return err
}

// allow lets all below path be used with these rights; nothing for an empty path.
func (r ruleset) allow(path string, rights uint64) error {
	if path == "" {
		return nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("allowing %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("allowing %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights & r.rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allowing %s by Landlock: %w", path, errno)
	}
	return nil
}
