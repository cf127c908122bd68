package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// foreignCalls is where the numbers of the x32 ABI begin, which share our audit
// architecture.
const foreignCalls = 0x40000000

// refusedHere lists what only this processor has.
func refusedHere() []uint32 {
	return []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB, unix.SYS_CREATE_MODULE}
}
