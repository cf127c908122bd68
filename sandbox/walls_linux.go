package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const fallbackMode = ModeSubreaper

// candidates lists what Detect tries, strongest first.
func candidates() []Walls {
	walls := []Walls{{Mode: ModeNamespace, User: true}, {Mode: ModeSubreaper}}
	if os.Geteuid() == 0 {
		walls = append([]Walls{{Mode: ModeNamespace}}, walls...)
	}
	return walls
}

// attributes are the shim's. It gets a session of its own, so that a Ctrl-C in
// our terminal is ours alone.
func (w Walls) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if w.mode() != ModeNamespace {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if w.User {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		// An exec by a user other than root drops capabilities, but for ambient
		// ones. The shim needs this one to mount /proc, then lays it down.
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return attr
}
