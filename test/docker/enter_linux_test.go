package docker

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
)

// enter runs this test again in namespaces of its own, with dir for the engine. When it ends, or we do, the
// kernel ends all that is in there. Process 1 is a shell, which waits for what lost its parent, as on
// any machine: without that an engine that was killed is taken for running.
func enter(dir string) error {
	runtime.LockOSThread() // Pdeathsig follows the thread
	self, err := os.Executable()
	if err != nil {
		return err
	}
	flags := []string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", `"$0" "$@"; exit $?`, self}
	cmd := exec.Command("unshare", slices.Concat(flags, os.Args[1:])...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the tests in namespaces of their own: %w", err)
	}
	return nil
}
