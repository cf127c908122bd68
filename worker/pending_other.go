//go:build !linux

package worker

// pendingBytes is the ioctl that tells how many bytes a pipe holds: FIONREAD
// in the BSDs' sys/filio.h.
const pendingBytes = 0x4004667f
