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
	if w.fence != nil && w.fence.NewNet {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if w.User {
		w.mapUsers(attr)
	}
	return attr
}

// mapUsers adds a user namespace in which each user is called as outside.
func (w Walls) mapUsers(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= unix.CLONE_NEWUSER
	if w.OwnUser() {
		attr.UidMappings, attr.GidMappings = sameIDs("/proc/self/uid_map"), sameIDs("/proc/self/gid_map")
		attr.GidMappingsEnableSetgroups = true
	} else {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	// An exec by a user other than root drops capabilities, but for ambient
	// ones. The shim needs these for mounts and the loopback interface, and to give up
	// for good what it has; then it lays them down.
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	if w.fence != nil {
		attr.AmbientCaps = append(attr.AmbientCaps, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP)
	}
}
