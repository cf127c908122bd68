// Package netns makes small networks of Linux network namespaces, for tests and
// measurements that need several hosts: a switch, and hosts on it by a cable (a
// veth pair), by a long line that delays and loses packets, or behind a router
// that translates addresses and refuses all that comes from outside. It needs
// root and iproute2, for the router nftables too, and for a long line
// /dev/net/tun.
//
// A long line is made here and not by the kernel's netem, which many kernels
// lack: a TAP device at both of its ends, and between them this process, which
// holds each frame back for the line's delay and drops some at random. TCP then
// sees what it would see on a real line: late packets, lost packets,
// retransmissions, on a connection from end to end. It is CUBIC, where the kernel has
// it, so that figures can be compared: with 1% loss and 80 ms one connection carries
// 0.2 MB/s by CUBIC, as the formula of Mathis et al. 1997 says, and 4 MB/s by BBR.
//
// What must hold here:
//   - Nothing outside the namespaces that are made here is changed.
//   - Close removes all of it. What a killed process left, the next Open removes.
//   - A thread that has entered a namespace goes back, or ends.
package netns
