package sandbox

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// sharedTemp is how much a command without a Temp may write to its /tmp, into memory.
const sharedTemp = "size=64m,mode=1777"

// A place is a directory, or a file, that a command sees otherwise than it is.
type place struct {
	path string // where the command sees it
	real string // the same without symbolic links, which orders the places
	// source is an open file descriptor of what is seen there; -1: a new tmpfs.
	source   int
	tmpfs    string // its options
	devpts   string // instead: the options of a new file system for terminals
	same     string // instead: the path of what is seen there too
	writable bool
	// other says that what was there before can no longer be seen, nor what was
	// below it.
	other  bool
	frozen bool // the source was on a read-only mount, and stays so
	named  bool // by the caller: that it is missing is an error
}

// arrangeView gives the shim's mount namespace the command's view of the files: all
// read-only, some directories empty, and in those what the order names.
func arrangeView(o order) error {
	// The mount points that we make must be open to everybody.
	defer unix.Umask(unix.Umask(0))
	places, err := collect(o)
	defer closePlaces(places)
	if err != nil {
		return err
	}
	if err := setMount("/", true, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID, 0); err != nil {
		return fmt.Errorf("making the system read-only: %w", err)
	}
	done, err := layAll(places)
	if err != nil {
		return err
	}
	return closeMasks(done)
}

// layAll lays out those places that need it.
func layAll(places []place) ([]place, error) {
	var done []place
	for _, p := range places {
		if !p.needed(done) {
			continue
		}
		if err := p.lay(); err != nil {
			return nil, fmt.Errorf("laying out %s: %w", p.path, err)
		}
		done = append(done, p)
	}
	return done, nil
}

// closeMasks makes the masks read-only, now that they have their mount points.
func closeMasks(done []place) error {
	for i, p := range done {
		buried := i+1 < len(done) && done[i+1].real == p.real
		if !p.mask() || buried {
			continue
		}
		if err := setMount(p.path, false, unix.MOUNT_ATTR_RDONLY, 0); err != nil {
			return fmt.Errorf("closing %s: %w", p.path, err)
		}
	}
	return nil
}

// mask reports whether p only makes a directory look empty.
func (p place) mask() bool { return p.other && !p.writable }

// collect opens everything before anything is covered, and brings it into an order
// in which nothing covers what was laid out before.
func collect(o order) ([]place, error) {
	var places []place
	masks := o.Fence.Masks
	if o.ownUser() {
		masks = slices.Concat(masks, o.closedParents())
	}
	for _, dir := range masks {
		places = append(places, place{path: dir, real: dir, source: -1, tmpfs: "size=1m,mode=755", other: true})
	}
	shown := []place{
		{path: o.Dir}, {path: filepath.Dir(o.Path)},
		{path: o.Temp, writable: true, named: true},
	}
	for _, path := range runtimePlaces() {
		shown = append(shown, place{path: path})
	}
	for _, path := range o.Readable {
		shown = append(shown, place{path: path, named: true})
	}
	for _, path := range o.Writable {
		shown = append(shown, place{path: path, writable: true, named: true})
	}
	for _, p := range shown {
		opened, err := p.open()
		if err != nil {
			return places, err
		}
		places = append(places, opened...)
	}
	places = append(places, terminals()...)
	temps, err := temporaries(o.Temp)
	places = append(places, temps...)
	if err != nil {
		return places, err
	}
	slices.SortStableFunc(places, func(a, b place) int {
		// Of the same path, what makes it empty comes first, and what is writable last.
		return cmp.Or(cmp.Compare(a.real, b.real), compareBools(b.other, a.other), compareBools(a.writable, b.writable))
	})
	return places, nil
}

// closedParents are the uppermost directories above what the order names that only our user may
// pass. A command with another uid sees nothing of them anyway, so they are made empty: then it can
// pass to what was laid out in them.
func (o order) closedParents() []string {
	var closed []string
	for _, path := range slices.Concat([]string{o.Dir, o.Path, o.Temp}, o.Readable, o.Writable) {
		real, err := filepath.EvalSymlinks(path)
		if path == "" || err != nil {
			continue // whoever opens it says so
		}
		if dir := closedAbove(real); dir != "" && !slices.Contains(closed, dir) {
			closed = append(closed, dir)
		}
	}
	return closed
}

// closedAbove is the uppermost directory above path that others may not pass, or empty.
func closedAbove(path string) (closed string) {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			closed = dir
		}
	}
	return closed
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// terminals are new ones: among those that are there may be the operator's, which a command with
// the same uid could read and write.
func terminals() []place {
	real, err := filepath.EvalSymlinks("/dev/pts")
	if err != nil {
		return nil // there are none
	}
	return []place{{path: real, real: real, source: -1, tmpfs: "size=4k,mode=755", devpts: "newinstance,ptmxmode=0666,mode=0600", writable: true, other: true}}
}

// temporaries are the directories that everybody may write to.
func temporaries(temp string) ([]place, error) {
	var places []place
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || slices.ContainsFunc(places, func(p place) bool { return p.real == real }) {
			continue // there is none
		}
		p := place{path: real, real: real, source: -1, tmpfs: sharedTemp, writable: true, other: true}
		switch {
		case dir == "/dev/shm":
			p.tmpfs = "mode=1777"
		case temp == "" && len(places) > 0:
			p.same = places[0].path
		case temp != "":
			if err := p.openSource(temp); err != nil {
				return places, err
			}
		}
		places = append(places, p)
	}
	return places, nil
}

// open finds what is seen there. A place that nobody named may be missing.
func (p place) open() ([]place, error) {
	if p.path == "" {
		return nil, nil
	}
	err := p.openSource(p.path)
	if err != nil && !p.named {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if p.real, err = os.Readlink(descriptor(p.source)); err != nil {
		unix.Close(p.source)
		return nil, fmt.Errorf("opening %s: %w", p.path, err)
	}
	return []place{p}, nil
}

func (p *place) openSource(path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		unix.Close(fd)
		return fmt.Errorf("asking how %s is mounted: %w", path, err)
	}
	p.source, p.frozen = fd, st.Flags&unix.ST_RDONLY != 0
	return nil
}

func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func closePlaces(places []place) {
	for _, p := range places {
		if p.source >= 0 {
			unix.Close(p.source)
		}
	}
}

// needed reports whether something has to be done, after done was laid out.
func (p place) needed(done []place) bool {
	switch {
	case p.mask(): // not where nothing is left to hide
		return !covered(p.real, done)
	case p.writable:
		return true
	}
	// What is to be read is there already, unless it was covered.
	return covered(p.path, done) || covered(p.real, done)
}

// covered reports whether what is at path now is not what was there before.
func covered(path string, done []place) bool {
	deepest := place{}
	for _, d := range done {
		if within(path, d.real) && len(d.real) >= len(deepest.real) {
			deepest = d
		}
	}
	return deepest.other
}

// lay puts the place where it is to be seen.
func (p place) lay() error {
	if err := p.makeMountPoint(); err != nil {
		return err
	}
	if p.same != "" {
		return unix.Mount(p.same, p.path, "", unix.MS_BIND, "")
	}
	if p.devpts != "" && unix.Mount("devpts", p.path, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, p.devpts) == nil {
		return nil // or where that cannot be had: no terminals at all
	}
	if p.source < 0 {
		return unix.Mount("tmpfs", p.path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, p.tmpfs)
	}
	if err := unix.Mount(descriptor(p.source), p.path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !p.writable {
		return nil // as all of the system is by now
	}
	if p.frozen {
		return nil
	}
	return setMount(p.path, false, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_RDONLY)
}

// makeMountPoint makes what p is mounted on, where that was covered.
func (p place) makeMountPoint() error {
	if _, err := os.Stat(p.path); err == nil {
		return nil
	}
	var st unix.Stat_t
	if p.source >= 0 {
		if err := unix.Fstat(p.source, &st); err != nil {
			return err
		}
	}
	if p.source < 0 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.MkdirAll(p.path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(p.path, nil, 0o444)
}
