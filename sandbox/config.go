package sandbox

import (
	"cmp"
	"errors"
	"log/slog"
)

// A Config says what to start.
type Config struct {
	Path string   // the executable, absolute
	Args []string // without the zeroth
	Env  []string // complete: nothing is inherited; of two settings of one name the last holds
	Dir  string   // the working directory
	// Shim is the command line that ends in ShimMain, for example the path of
	// our own executable and "shim".
	Shim []string
	// Walls is what Find found. The zero value stands for the mode that
	// needs no privilege.
	Walls Walls
	// Name is for people: what the command's cgroup is called after. May be empty.
	Name string
	// User is the uid and gid that the command runs with, where the walls have
	// users of their own; 0: ours.
	User int
	// Group is the gid that such a command runs with instead; what it makes may then be
	// changed by the whole group. 0: the same number as User.
	Group int
	// Temp is a directory of ours that becomes the command's /tmp, where it can be
	// given one; it may write there in any case. Empty: it has none, and where its
	// /tmp is its own that holds at most 64 MB of memory.
	Temp string
	// Readable and Writable are what the command sees of what is hidden from it
	// otherwise, and where it may write. Dir, the directory of Path, and Temp need not
	// be named. What a symbolic link among them points to does.
	Readable, Writable []string
	Limits             Limits
	// Started, if not nil, is called with the shim's pid before the shim is told what
	// to start: to move it into a cgroup. An error fails Start.
	Started func(pid int) error
	// Ended, if not nil, is called once when the command and its descendants have ended. It
	// may say what they were ended for, as KillFor does; then that is the Exit's cause.
	Ended func() (cause string)
	Log   *slog.Logger // nil: nothing is logged

	probe bool // the command is the shim itself, which ends at once
}

// Limits bound a command with all its descendants. 0: no limit.
type Limits struct {
	// Memory and Processes are not enforced here, but by whom Started tells:
	// RLIMIT_AS breaks CUDA, and RLIMIT_NPROC counts all processes of a uid.
	Memory    int64 // bytes
	Processes int   // processes and threads
	// UserProcesses bounds the processes and threads of the uid that the command runs with, the
	// command's own and all others' (RLIMIT_NPROC): it stops who forks without end before the
	// machine is full, where nothing better does. It does not bind root.
	UserProcesses int
	FileSize      int64 // bytes of one file that it writes
	OpenFiles     int   // file descriptors of each process
}

func (c Config) check() error {
	switch {
	case len(c.Shim) == 0:
		return errors.New("starting a process: no shim command is configured")
	case c.Path == "" && !c.probe:
		return errors.New("starting a process: no command is given")
	}
	return nil
}

func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// An order is what the shim has to do. It is sent through the lifeline as JSON,
// and the lifeline then stays open and silent.
type order struct {
	Mode          Mode
	Path          string
	Args          []string // with the zeroth
	Env           []string
	Dir           string
	Probe         bool // start the shim itself instead of Path
	FileSize      int64
	OpenFiles     int
	UserProcesses int
	// Fence is nil where there is nothing but the mode. What follows matters only to it.
	Fence              *fence
	User, Group        int
	Temp               string
	Readable, Writable []string
}

func (c Config) order() order {
	return order{
		Mode:          c.Walls.mode(),
		Path:          c.Path,
		Args:          append([]string{c.Path}, c.Args...),
		Env:           lastOfEach(c.Env),
		Dir:           c.Dir,
		Probe:         c.probe,
		FileSize:      c.Limits.FileSize,
		OpenFiles:     c.Limits.OpenFiles,
		UserProcesses: c.Limits.UserProcesses,
		Fence:         c.Walls.fence,
		User:          c.User,
		Group:         cmp.Or(c.Group, c.User),
		Temp:          c.Temp,
		Readable:      c.Readable,
		Writable:      c.Writable,
	}
}
