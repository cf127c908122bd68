package worker

import "golang.org/x/sys/unix"

// pendingBytes is the ioctl that tells how many bytes a pipe holds; Linux
// has it as FIONREAD too.
const pendingBytes = unix.TIOCINQ
