package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	lookEvery = 100 * time.Millisecond
	goneIn    = 10 * time.Second // the last process goes after its server
)

// A process is one that has to do with the demo's folder.
type process struct {
	pid     int
	born    string // when it started, in the system's own words: numbers are used again
	command string
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, p.command) }

// mentions says whether text names dir or what is below it, and not just a
// folder whose name begins or ends alike.
func mentions(text []byte, dir string) bool {
	for {
		i := bytes.Index(text, []byte(dir))
		if i < 0 {
			return false
		}
		after := text[i+len(dir):]
		if (i == 0 || !ofName(text[i-1])) && (len(after) == 0 || !ofName(after[0])) {
			return true
		}
		text = after
	}
}

// ofName says whether a file's name usually goes on with b.
func ofName(b byte) bool {
	return b == '_' || b == '-' || b == '.' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// without returns those of all that are not among others.
func without(all, others []process) []process {
	known := map[process]bool{}
	for _, p := range others {
		known[process{pid: p.pid, born: p.born}] = true
	}
	var rest []process
	for _, p := range all {
		if p.pid != os.Getpid() && !known[process{pid: p.pid, born: p.born}] {
			rest = append(rest, p)
		}
	}
	return rest
}

// ofEarlierDemo picks the platform and the server of a demo that died half way.
func ofEarlierDemo(all []process, dir string) []process {
	var found []process
	for _, p := range all {
		for _, part := range []string{"platform", "server"} {
			if strings.Contains(p.command+" ", " --data "+filepath.Join(dir, part)+" ") {
				found = append(found, p)
			}
		}
	}
	return found
}

// stopEarlier ends what an earlier demo in dir left running, and returns how
// many processes that were.
func stopEarlier(dir string) (int, error) {
	all, err := processes(dir)
	if err != nil {
		return 0, err
	}
	left := ofEarlierDemo(all, dir)
	found := len(left)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, p := range left {
			syscall.Kill(p.pid, signal)
		}
		left, err = waitGone(stopIn, func() ([]process, error) {
			all, err := processes(dir)
			return ofEarlierDemo(all, dir), err
		})
		if err != nil || len(left) == 0 {
			return found, err
		}
	}
	return found, fmt.Errorf("processes of an earlier demo do not end: %v", left)
}

// waitGone asks until no process is left, at most as long as limit, and
// returns what still is.
func waitGone(limit time.Duration, ask func() ([]process, error)) ([]process, error) {
	deadline := time.Now().Add(limit)
	for {
		left, err := ask()
		if err != nil || len(left) == 0 || time.Now().After(deadline) {
			return left, err
		}
		time.Sleep(lookEvery)
	}
}
