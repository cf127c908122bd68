package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// slow reports whether the rounds that an issue asks for are wanted, not their short form.
func slow() bool { return os.Getenv("WHISKAWAY_SLOW") != "" }

// A function that forks twice, calls setsid and sleeps is gone after its worker's end.
func TestAlwaysTrue4GrandchildrenEndWithTheirWorker(t *testing.T) {
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t, "--lease-grace", "100ms", "--share", shared(t))
			marker := fmt.Sprintf("marker-%016x", rand.Uint64())
			forks := strings.ReplaceAll(forksTwice, "MARKER", marker)

			g := d.init(specOf("python:3", forks), forks)
			g.run(`{}`)
			eventually(t, "the grandchildren sleep", func() bool { return len(processesWith(marker)) >= 3 })
			if e := g.try(t.Context(), `{"wait":true}`, time.Second); e.Outcome != function.OutcomeTimeout {
				t.Errorf("%v, %+v", e.err, e.Summary)
			}
			nothingLeft(t, marker) // after a deadline
			g.run(`{}`)
			g.stop()
			nothingLeft(t, marker) // after its worker's end
			eventually(t, "the directory goes", func() bool { return len(d.functionDirs()) == 0 })
		})
	}
}

// forksTwice leaves a grandchild in a session of its own that ignores signals.
const forksTwice = `
import os, subprocess, time
def main(args):
    subprocess.Popen(["/bin/sh", "-c", "trap '' INT TERM HUP; exec setsid sh -c 'sleep 1000 & sleep 1000'"], start_new_session=True, env={"MARK": "MARKER", "PATH": "/usr/bin:/bin"})
    while args.get("wait"):
        try: time.sleep(1000)
        except KeyboardInterrupt: pass
    return {}
`

// shared is a directory that functions of any user may write to, with --share.
func shared(t *testing.T) string {
	t.Helper()
	dir := publicDir(t, 0)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kill -9 of the server at a random moment, also while workers start.
func TestAlwaysTrue4NothingOutlivesAServerKilledAtRandom(t *testing.T) {
	all := environments(t)
	rounds := 3
	if slow() {
		rounds = 300 / len(all)
	}
	for name, begin := range all {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				killAtRandom(t, begin)
			}
		})
	}
}

func killAtRandom(t *testing.T, begin func(*testing.T, ...string) *solo) {
	t.Helper()
	d := begin(t)
	marker := fmt.Sprintf("marker-%016x", rand.Uint64())
	forks := strings.ReplaceAll(forksTwice, "MARKER", marker)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range 3 {
		callers.Go(func() {
			for ctx.Err() == nil { // errors are what is wanted here
				g, err := d.tryInit(ctx, specOf("python:3", forks, func(s *function.Spec) { s.Action = fmt.Sprint("f", i, rand.Uint64()) }), forks)
				if err == nil {
					g.try(ctx, `{}`, time.Minute)
				}
			}
		})
	}
	time.Sleep(rand.N(400 * time.Millisecond)) // the random moment
	d.kill()
	cancel()
	callers.Wait()
	nothingLeft(t, marker)
	nothingLeft(t, d.dir)
	// The next start sweeps what is no process.
	next := begin(t, "--data", d.dir)
	if left := d.functionDirs(); len(left) > 0 {
		t.Errorf("the next start left %v", left)
	}
	next.stop()
	if left := groupsOf(d.dir); len(left) > 0 {
		t.Errorf("the next start and stop left the control groups %v", left)
	}
}

// groupsOf lists the control groups of the server with that data directory.
func groupsOf(dir string) (groups []string) {
	name := fmt.Sprintf("whiskaway-%x", sha256.Sum256([]byte(dir)))[:len("whiskaway-")+12]
	filepath.WalkDir("/sys/fs/cgroup", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == name {
			groups = append(groups, path)
		}
		return nil
	})
	return groups
}

// Init, run and stop again and again leave nothing: no directory, cgroup, mount, file descriptor or temporary file.
func TestAlwaysTrue4CyclesLeaveNothing(t *testing.T) {
	cycles := 40
	if slow() {
		cycles = 1000
	}
	d := startSolo(t, "--lease-grace", "1ms")
	cycle := func(i int) {
		g := d.init(specOf("python:3", countPy, func(s *function.Spec) { s.Action = fmt.Sprint("f", i) }), countPy)
		g.run(`{}`)
		g.stop()
	}
	settle := func() {
		eventually(t, "all functions go", func() bool { return len(d.functionDirs()) == 0 && d.status().Servers[0].Workers == 0 })
	}
	cycle(0)
	settle()
	before := traces(t, d)
	var all sync.WaitGroup
	for caller := range 4 {
		all.Go(func() {
			for i := range cycles / 4 {
				cycle(1 + caller*cycles + i)
			}
		})
	}
	all.Wait()
	settle()
	var after string
	if eventuallyEqual(func() bool { after = traces(t, d); return after == before }) {
		return
	}
	t.Errorf("before:\n%s\nafter %d cycles:\n%s", before, cycles, after)
}

// eventuallyEqual waits for connections that are kept for a while to be the same again.
func eventuallyEqual(same func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if same() {
			return true
		}
	}
	return false
}

// traces counts what a server could leave behind, in words.
func traces(t *testing.T, d *solo) string {
	t.Helper()
	var b bytes.Buffer
	count := func(what, pattern string) {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %d\n", what, len(found))
	}
	count("directories", filepath.Join(d.dir, "functions", "*"))
	count("temporary files", filepath.Join(os.TempDir(), "*whisk*"))
	cgroups := 0
	for _, parent := range groupsOf(d.dir) {
		workers, _ := filepath.Glob(filepath.Join(parent, "*", "cgroup.procs"))
		cgroups += len(workers)
	}
	fmt.Fprintf(&b, "control groups: %d\n", cgroups)
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "mounts: %d\n", bytes.Count(mounts, []byte("\n")))
	// Sockets are the client's and come and go; all else counts.
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", d.cmd.Process.Pid))
	files := 0
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && !strings.HasPrefix(to, "socket:") {
			files++
		}
	}
	fmt.Fprintf(&b, "file descriptors: %d\n", files)
	return b.String()
}
