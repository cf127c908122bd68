//go:build linux

package sandbox_test

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// playFiltered goes on as another command, for which the kernel refuses something
// as some machines do: "namespaces" like a container of which nobody may make more, or
// "mount_setattr" like a kernel that has it not.
func playFiltered(what string, command []string) error {
	runtime.LockOSThread()
	filters := map[string][]unix.SockFilter{
		"namespaces": append(append(
			refuseFlags(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWNET),
			refuseFlags(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_NEWNS)...),
			refuseCall(unix.SYS_CLONE3, unix.ENOSYS)...),
		"mount_setattr": refuseCall(unix.SYS_MOUNT_SETATTR, unix.ENOSYS),
	}
	p := append(filters[what], unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("installing a filter: %w", errno)
	}
	return syscall.Exec(command[0], command, os.Environ())
}

func refuseCall(nr uint32, errno syscall.Errno) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
	}
}

// refuseFlags refuses a call whose first argument has one of the flags.
func refuseFlags(nr uint32, flags uint32) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: flags, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	}
}
