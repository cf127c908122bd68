package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignCalls is where numbers begin that belong to another ABI: nowhere near.
const foreignCalls = 0x40000000

// refusedHere lists what only this processor has.
func refusedHere() []uint32 { return nil }
