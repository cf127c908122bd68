package sandbox

import (
	"os"
	"syscall"
)

// killDescendants stops all descendants, so that none can fork while we look,
// and then kills them. Who slips through is found by the next call.
func killDescendants(int) {
	for _, pid := range stopAll(func() []int { return descendants(os.Getpid()) }) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// descendants lists the living processes below root, by what /proc shows.
func descendants(root int) []int { return below(root, childrenOf(readProcesses())) }

func childrenOf(all map[int]processState) map[int][]int {
	children := make(map[int][]int, len(all))
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	return children
}
