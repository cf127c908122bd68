package sandbox_test

import (
	"bufio"
	"math"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

func TestMemoryIsThatOfTheTree(t *testing.T) {
	const program = `
import subprocess, threading
held = bytearray(30 << 20)
child = subprocess.Popen(["/usr/bin/python3", "-c", "held = bytearray(30 << 20); print('up', flush=True); input()"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
child.stdout.readline()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("up", flush=True)
input()`
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			small := start(t, walls, "/bin/sh", "-c", "echo up; read line")
			large := start(t, walls, "/usr/bin/python3", "-c", program)
			for _, p := range []*sandbox.Process{small, large} {
				if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); err != nil || line != "up\n" {
					t.Fatalf("%q, %v", line, err)
				}
			}
			procs := []*sandbox.Process{small, large}
			exact, rough := sandbox.Usages(procs, 0), sandbox.Usages(procs, math.MaxInt64)
			for i := range procs {
				if exact[i].Memory > rough[i].Memory+1<<20 {
					t.Errorf("process %d has %d bytes exactly, and %d with shared pages counted again", i, exact[i].Memory, rough[i].Memory)
				}
			}
			if got := exact[1].Memory; got < 60<<20 || got > 200<<20 {
				t.Errorf("two processes of 30 MB and more take %d bytes", got)
			}
			if got := exact[0].Memory; got < 100<<10 || got > 60<<20 {
				t.Errorf("a shell takes %d bytes", got)
			}
			if got := large.Memory(); got < 60<<20 || got > 200<<20 {
				t.Errorf("memory: %d bytes", got)
			}
			// The shim's own threads count too.
			if small, large := exact[0].Processes, exact[1].Processes; small < 2 || large < 4 {
				t.Errorf("%d and %d processes and threads", small, large)
			}
		})
	}
}

func TestUsageOfWhatHasEnded(t *testing.T) {
	p := start(t, sandbox.Walls{}, "/bin/true")
	await(t, p)
	if got := sandbox.Usages([]*sandbox.Process{p}, 0)[0]; got != (sandbox.Usage{}) {
		t.Errorf("got %+v", got)
	}
}
