package sandbox

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// prepare makes the shim what its mode needs, and builds what stands around the
// whole process. See design.md for the order.
func prepare(o order) error {
	if err := enter(o); err != nil {
		return err
	}
	if err := limit(o); err != nil {
		return err
	}
	if o.Fence == nil {
		return nil
	}
	if o.Fence.NewNet {
		if err := raiseLoopback(); err != nil {
			return err
		}
	}
	if o.Fence.View {
		if err := arrangeView(o); err != nil {
			return err
		}
	}
	if o.Fence.Cover {
		if err := coverSecrets(o.Fence.Secrets); err != nil {
			return err
		}
	}
	// A command with our uid must not look into us.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding the shim: %w", err)
	}
	return nil
}

func enter(o order) error {
	if o.Mode == ModeNamespace {
		return enterNamespace(o.Fence != nil && o.Fence.View)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming a subreaper: %w", err)
	}
	return nil
}

// enterNamespace gives the namespace its own /proc, where only its own
// processes are seen.
func enterNamespace(readOnly bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if readOnly {
		flags |= unix.MS_RDONLY // /proc/sys is the whole machine's
	}
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return fmt.Errorf("mounting a private /proc: %w", err)
	}
	return nil
}

// confine sets on this thread what the command inherits.
func confine(o order) error {
	if o.Mode == ModeNamespace {
		// What the namespaces took is not for the command.
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capabilities: %w", err)
		}
	}
	f := o.Fence
	if f == nil {
		return nil
	}
	if f.Strip || f.Landlock > 0 || f.Guard > 0 || f.filtered() {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("refusing new privileges: %w", err)
		}
	}
	if f.Landlock > 0 { // opens files: while we may
		if err := restrictFiles(o); err != nil {
			return err
		}
	}
	if f.Guard > 0 {
		if err := guardOthers(f); err != nil {
			return err
		}
	}
	if f.Strip {
		if err := stripCapabilities(o.ownUser()); err != nil {
			return err
		}
	}
	if f.filtered() { // last: it refuses some of the above
		return restrictCalls(f, o.Mode)
	}
	return nil
}

// ownUser reports whether the command gets a uid that is not ours.
func (o order) ownUser() bool { return o.Fence != nil && o.Fence.Users && o.User != 0 }

func commandAttributes(o order) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if o.Mode == ModeSubreaper {
		// In case somebody kills the shim. The thread that starts the command
		// lives as long as the shim, so this cannot fire early.
		attr.Pdeathsig = syscall.SIGKILL
	}
	if o.ownUser() {
		if o.Group != o.User {
			unix.Umask(0o002)
		}
		attr.Credential = &syscall.Credential{Uid: uint32(o.User), Gid: uint32(o.Group), Groups: o.Fence.Groups}
	}
	return attr
}

// ownExecutable can be executed even where its path cannot be reached.
func ownExecutable() string { return "/proc/self/exe" }

// closeOnExec keeps the command from inheriting first and what follows.
func closeOnExec(first int) error {
	err := unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Before Linux 5.11. Then only ours are known.
	for fd := first; fd <= statusFD; fd++ {
		unix.CloseOnExec(fd)
	}
	return nil
}

// limitProcesses bounds the processes of a command that has our own user. We must not have that limit
// ourselves: a Go program that gets no thread ends, and then nobody would end the command's descendants. The
// command runs without it for some microseconds.
func limitProcesses(o order, pid int) error {
	if o.UserProcesses <= 0 || o.ownUser() {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NPROC, nil, &now); err != nil {
		return nil // it has ended
	}
	to := min(uint64(o.UserProcesses), now.Max)
	err := unix.Prlimit(pid, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: to, Max: to}, nil)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("limiting the user's processes: %w", err)
	}
	return nil
}
