package sandbox

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
)

// Usages measures many processes, in one pass over /proc if there are many. The sum of the resident
// sizes counts shared pages again and again, so it is an upper bound, and cheap;
// where it exceeds exactAbove (bytes) the proportional sizes are read
// (Pss in /proc/PID/smaps_rollup), which costs some 0.1 ms for each process.
func Usages(procs []*Process, exactAbove int64) []Usage {
	pids := make([]int, len(procs))
	for i, p := range procs {
		pids[i] = p.Pid()
	}
	return UsagesOf(pids, exactAbove)
}

// UsagesOf is Usages by the shims' pids, which Config.Started tells before Start returns.
func UsagesOf(shims []int, exactAbove int64) []Usage {
	usages := make([]Usage, len(shims))
	for i, shim := range shims {
		if pids, all, ok := treeOf(shim); ok && len(shims) <= fewShims {
			usages[i] = measure(pids, all, exactAbove)
			continue
		}
		return usagesInAll(shims, exactAbove)
	}
	return usages
}

// Above these a pass over all processes costs less than to ask for each one's children.
const fewShims, fewProcesses = 8, 32

// treeOf reads the shim and what is below it. It is not ok where those are many, or where the
// kernel does not list children.
func treeOf(shim int) (pids []int, all map[int]processState, ok bool) {
	all = map[int]processState{}
	for next := []int{shim}; len(next) > 0; next = next[1:] {
		p, alive := readProcess(next[0])
		if !alive || p.ended {
			continue
		}
		children, listed := childrenNow(next[0])
		if len(pids) == fewProcesses || !listed && next[0] == shim {
			return nil, nil, false
		}
		pids = append(pids, next[0])
		all[next[0]] = p
		next = append(next, children...)
	}
	return pids, all, true
}

func usagesInAll(shims []int, exactAbove int64) []Usage {
	all := readProcesses()
	children := childrenOf(all)
	usages := make([]Usage, len(shims))
	for i, shim := range shims {
		pids := append(below(shim, children), shim)
		usages[i] = measure(pids, all, exactAbove)
	}
	return usages
}

// Descendants counts the living processes below the shim: 1 is the command alone. It reads
// all of /proc.
func (p *Process) Descendants() int {
	children := map[int][]int{}
	for pid, state := range readProcesses() {
		children[state.parent] = append(children[state.parent], pid)
	}
	return len(below(p.Pid(), children))
}

func measure(pids []int, all map[int]processState, exactAbove int64) Usage {
	var u Usage
	for _, pid := range pids {
		u.Memory += all[pid].resident
		u.Processes += all[pid].threads
	}
	if u.Memory <= exactAbove {
		return u
	}
	u.Memory = proportional(pids, all)
	return u
}

// maxExact bounds how many processes of one command are looked into: one that forks
// without end must not keep us from looking after the others.
const maxExact = 128

// proportional is the sum of the proportional sizes. Of many processes the largest are measured,
// and the others count as if pages were shared among them in the same way.
func proportional(pids []int, all map[int]processState) int64 {
	slices.SortFunc(pids, func(a, b int) int { return cmp.Compare(all[b].resident, all[a].resident) })
	var exact, resident, rest int64
	for i, pid := range pids {
		if i >= maxExact {
			rest += all[pid].resident
			continue
		}
		size, ok := proportionalSize(pid)
		if !ok {
			size = all[pid].resident // not ours to look into, or gone
		}
		exact += size
		resident += all[pid].resident
	}
	if rest == 0 || resident == 0 {
		return exact
	}
	return exact + int64(float64(rest)*float64(exact)/float64(resident))
}

// proportionalSize is not ok for a process that is gone or not ours to look at.
func proportionalSize(pid int) (size int64, ok bool) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kb); n == 1 {
			return kb << 10, true
		}
	}
	return 0, false
}
