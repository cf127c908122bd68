package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// within calls do on a thread that is in the namespace. What do opens stays there.
func within(space string, do func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- enter(space, do) }() // a goroutine of its own: its thread ends with it where it cannot go back
	return <-failed
}

// setting changes a setting of the namespace's IPv4, see the kernel's ip-sysctl.rst.
func setting(space, name, value string) error {
	return within(space, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0)
	})
}

func enter(space string, do func() error) error {
	target, err := os.Open(filepath.Join(dir, space))
	if err != nil {
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace %s: %w", space, err)
	}
	err = do()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread() // else the thread ends with the goroutine
	}
	return err
}
