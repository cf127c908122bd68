package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newestCall is the highest number of a system call that we have judged. What a newer
// kernel adds is answered like by an older one.
const newestCall = unix.SYS_RSEQ_SLICE_YIELD

// refusedCalls lists what no function needs: what changes the machine, looks into
// other processes, or has often been a way out of a sandbox.
func refusedCalls() []uint32 {
	return append(refusedHere(),
		// mounts and namespaces
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR,
		unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_SETNS, unix.SYS_LISTNS,
		// other processes
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		// the kernel's own things
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_USERFAULTFD, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
		// the machine
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_ACCT,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETDOMAINNAME, unix.SYS_SETHOSTNAME,
	)
}

// missingCalls are answered as if the kernel had them not, since programs then
// do without: for clone3's flags lie in memory, where a filter cannot look.
func missingCalls() []uint32 {
	return []uint32{unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}
}

// lastingCalls make what outlives every process and belongs to no directory, so that nobody would
// clean it up. An IPC namespace takes it with it; elsewhere the kernel seems to lack it.
func lastingCalls() []uint32 {
	return []uint32{unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET, unix.SYS_MQ_OPEN}
}

// newNamespaces are the flags of clone and unshare that make namespaces.
// CLONE_NEWTIME is not among them: clone reads its bit as part of a signal's number.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// A filter is a seccomp filter in the making; its instructions look at struct
// seccomp_data. See seccomp(2).
type filter []unix.SockFilter

// Offsets in struct seccomp_data. An argument's low half is first on the processors
// that we have filters for; the kernel looks at no more of those that we judge.
const (
	callOffset = 0
	archOffset = 4
	argsOffset = 16
)

const (
	allow    = unix.SECCOMP_RET_ALLOW
	refuse   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	missing  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	noFamily = unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
)

func (p *filter) add(code uint16, k uint32, jt, jf uint8) {
	*p = append(*p, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (p *filter) load(offset uint32) { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }

func (p *filter) answer(verdict uint32) { p.add(unix.BPF_RET|unix.BPF_K, verdict, 0, 0) }

// ifEqual gives the verdict when what was loaded is k; ifNot, ifAbove and ifAny likewise.
func (p *filter) ifEqual(k, verdict uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, 1)
	p.answer(verdict)
}

func (p *filter) ifNot(k, verdict uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 1, 0)
	p.answer(verdict)
}

func (p *filter) ifAbove(k, verdict uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, k, 0, 1)
	p.answer(verdict)
}

func (p *filter) ifAny(bits, verdict uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, bits, 0, 1)
	p.answer(verdict)
}

// judge puts before all that follows: when the call is nr, then what rules add
// about argument arg, and else allow. The call's number is loaded before and after.
func (p *filter) judge(nr uint32, arg uint32, rules func(*filter)) {
	var inner filter
	inner.load(argsOffset + 8*arg)
	rules(&inner)
	inner.answer(allow)
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, nr, 0, uint8(len(inner)))
	*p = append(*p, inner...)
}

// callFilter assembles what f asks for, for a command in that mode.
func callFilter(f *fence, mode Mode) filter {
	var p filter
	p.load(archOffset)
	p.ifNot(auditArch, refuse)
	p.load(callOffset)
	p.ifAbove(foreignCalls-1, refuse)
	p.judge(unix.SYS_SOCKET, 0, func(p *filter) {
		for _, family := range families(f) {
			p.ifEqual(family, allow)
		}
		p.answer(noFamily)
	})
	if f.noSockets() {
		// A ring could open sockets too.
		p.ifEqual(unix.SYS_IO_URING_SETUP, missing)
	}
	if !f.Seccomp {
		p.answer(allow)
		return p
	}
	p.ifAbove(newestCall, missing)
	for _, nr := range missingCalls() {
		p.ifEqual(nr, missing)
	}
	if mode != ModeNamespace {
		for _, nr := range lastingCalls() {
			p.ifEqual(nr, missing)
		}
	}
	for _, nr := range refusedCalls() {
		p.ifEqual(nr, refuse)
	}
	p.judge(unix.SYS_CLONE, 0, func(p *filter) { p.ifAny(newNamespaces, refuse) })
	p.judge(unix.SYS_UNSHARE, 0, func(p *filter) { p.ifAny(newNamespaces|unix.CLONE_NEWTIME, refuse) })
	// Another process's limits are as good as a signal to it: only 0, which is the caller.
	p.judge(unix.SYS_PRLIMIT64, 0, func(p *filter) { p.ifNot(0, refuse) })
	p.judge(unix.SYS_IOCTL, 1, func(p *filter) {
		p.ifEqual(unix.TIOCSTI, refuse)
		p.ifEqual(unix.TIOCLINUX, refuse)
	})
	p.answer(allow)
	return p
}

// families lists the kinds of sockets that a command may open.
func families(f *fence) []uint32 {
	if f.noSockets() {
		return []uint32{unix.AF_UNIX}
	}
	return []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
}

// restrictCalls installs the filter on this thread.
func restrictCalls(f *fence, mode Mode) error {
	p := callFilter(f, mode)
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return fmt.Errorf("installing a seccomp filter: %w", errno)
	}
	return nil
}
