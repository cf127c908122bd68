package main

import (
	"os/exec"
	"testing"
)

func TestParseStat(t *testing.T) {
	state, born, ok := parseStat([]byte("12 (a) (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n"))
	if !ok || state != "S" || born != "4711" {
		t.Errorf("%q %q %v", state, born, ok)
	}
	if _, _, ok := parseStat(nil); ok {
		t.Error("read something from nothing")
	}
}

// A process counts while it runs, and no more once it only waits for its parent.
func TestZombiesDoNotCount(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "echo started; read _")
	cmd.Env = []string{"MARK=" + dir}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if all, err := processes(dir); err != nil || len(all) != 1 || all[0].pid != cmd.Process.Pid {
		t.Fatalf("%v, %v", all, err)
	}
	in.Close() // it ends, and is a zombie until Wait
	left, err := waitGone(goneIn, func() ([]process, error) { return processes(dir) })
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
