//go:build !linux

package sandbox

import "syscall"

const fallbackMode = ModeGroup

func candidates() []Walls { return []Walls{{Mode: ModeGroup}} }

func (w Walls) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
