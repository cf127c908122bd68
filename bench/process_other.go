//go:build !linux

package main

import "syscall"

// endWithUs leaves a child in our process group: the terminal's Ctrl-C reaches it.
func endWithUs() *syscall.SysProcAttr { return nil }
