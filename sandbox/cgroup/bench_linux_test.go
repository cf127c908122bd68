package cgroup

import (
	"errors"
	"log/slog"
	"os/exec"
	"testing"
)

// A group's whole life, with a process in it that must be killed.
func BenchmarkNewAddClose(b *testing.B) {
	m, err := Open("bench", slog.New(slog.DiscardHandler))
	if errors.Is(err, ErrNone) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for b.Loop() {
		b.StopTimer()
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		g, err := m.New("w", Limits{Memory: 64 << 20, Processes: 10, CPUs: 1})
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(g.Add(cmd.Process.Pid), g.Close()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		cmd.Wait()
		b.StartTimer()
	}
}
