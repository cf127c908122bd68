package main

import "syscall"

// endWithUs makes the kernel kill a child when this process ends, also when it
// is killed; and keeps the terminal's Ctrl-C from it, so that we can stop all in order.
func endWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
