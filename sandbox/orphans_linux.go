package sandbox

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A command with our uid and without a PID namespace can kill its shim, where Landlock does not keep
// signals in. Then the kernel gives us the shim's children, since we ask for it here, and we end them.
//
// shims are those that were started and not yet reaped. The lock is held from before a start until
// the shim is in there, so that none is taken for an orphan.
var shims = struct {
	sync.RWMutex
	pids sync.Map
}{}

var becomeSubreaper = sync.OnceFunc(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })

func startShim(mode Mode, command []string, attr *os.ProcAttr) (*os.Process, error) {
	if mode == ModeSubreaper {
		becomeSubreaper()
	}
	shims.RLock()
	defer shims.RUnlock()
	shim, err := os.StartProcess(command[0], command, attr)
	if err == nil {
		shims.pids.Store(shim.Pid, true)
	}
	return shim, err
}

// forgetShim comes after it was reaped.
func forgetShim(pid int) { shims.pids.Delete(pid) }

// orphanPatience bounds how long we try: a process that has become another user cannot be killed.
const orphanPatience = 5 * time.Second

// endOrphans kills and reaps all that has come to us from shims that are gone.
func endOrphans() {
	for begun := time.Now(); time.Since(begun) < orphanPatience; time.Sleep(killAgain) {
		if !killOrphans() {
			return
		}
	}
}

// killOrphans reports whether there were any.
func killOrphans() bool {
	shims.Lock()
	defer shims.Unlock()
	found := stopAll(func() (living []int) {
		all := readProcesses()
		children := childrenOf(all)
		for pid, p := range all {
			if isOrphan(pid, p) {
				living = append(append(living, pid), below(pid, children)...)
			}
		}
		return living
	})
	for _, pid := range found {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	ended := 0
	for pid, p := range readWithEnded() {
		if isOrphan(pid, p) && p.ended {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			ended++
		}
	}
	return len(found)+ended > 0
}

// isOrphan tells what has come to us from what we have started: that stays in our session, or is a shim.
func isOrphan(pid int, p processState) bool {
	if p.parent != os.Getpid() {
		return false
	}
	if _, ours := shims.pids.Load(pid); ours {
		return false
	}
	session, err := unix.Getsid(0)
	return err == nil && p.session != session
}

// endBelow kills a shim and all below it. Who slips through comes to us.
func endBelow(shim *os.Process) {
	found := stopAll(func() []int { return append(descendants(shim.Pid), shim.Pid) })
	for _, pid := range found {
		if pid != shim.Pid {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	shim.Kill()
}

// stopAll stops what list finds, again and again until that is nothing new, so that none can fork
// while we look. It returns all that it found.
func stopAll(list func() []int) (stopped []int) {
	known := map[int]bool{} // of thousands, where somebody forks without end
	for {
		before := len(stopped)
		for _, pid := range list() {
			if known[pid] {
				continue
			}
			syscall.Kill(pid, syscall.SIGSTOP)
			known[pid] = true
			stopped = append(stopped, pid)
		}
		if len(stopped) == before {
			return stopped
		}
	}
}
