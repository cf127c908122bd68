package postgres

import "syscall"

// endWithUs makes the kernel end the server when this process is killed, and
// keeps the terminal's Ctrl-C from it.
func endWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
}
