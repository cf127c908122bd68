package gpu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long to wait for what must come.
const patience = 20 * time.Second

// quick is how long a driver may take in tests where it does hang.
const quick = 800 * time.Millisecond

const (
	mb = 1 << 20
	gb = 1 << 30
)

// Two unequal GPUs.
func small(free int64) Device {
	return Device{UUID: "GPU-small", Name: "NVIDIA RTX 4090", Index: 0, Total: 24 * gb, Free: free, Used: 24*gb - free}
}
func large(free int64) Device {
	return Device{UUID: "GPU-large", Name: "NVIDIA A100, 80GB", Index: 1, Total: 80 * gb, Free: free, Used: 80*gb - free}
}

// A fakeDriver stands for a driver. What it says can be changed at any time.
type fakeDriver interface {
	say(devices []Device, usages ...Usage)
	garbage()               // as what it says
	lose(lost, kept Device) // one of two does not answer any more
	hang()
	vanish()
	options() Options // to find it
}

// eachFakeDriver runs a test with each kind of fake driver.
func eachFakeDriver(t *testing.T, test func(t *testing.T, d fakeDriver)) {
	t.Run("FakeNvidiaSMI", func(t *testing.T) { test(t, newFakeSMI(t)) })
	t.Run("FakeNVML", func(t *testing.T) {
		d := newFakeNVML(t)
		if d == nil {
			t.Skip("this build has no NVML; run go test -tags nvml")
		}
		test(t, d)
	})
}

// open opens a source, and closes it at the end.
func open(t *testing.T, o Options) Source {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// watchDriver is watch with what open would open.
func watchDriver(t *testing.T, d fakeDriver) *Monitor {
	t.Helper()
	s, err := Open(t.Context(), d.options())
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, s)
}

// watch opens a monitor, and closes it, and so the source, at the end.
func watch(t *testing.T, s Source) *Monitor {
	t.Helper()
	m := NewMonitor(s, 0, nil)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// eventually waits until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s: not so", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// replace writes a file in one step.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A fakeSMI is a script that stands for nvidia-smi. It does what is in the files
// "gpus" and "processes", again and again for the one that stays.
type fakeSMI struct {
	t   *testing.T
	dir string
}

func newFakeSMI(t *testing.T) *fakeSMI {
	d := &fakeSMI{t, t.TempDir()}
	replace(t, d.path("processes"), "")
	replace(t, d.path("fake-nvidia-smi"), fmt.Sprintf(`#!/bin/sh
cd '%s' || exit 1
case "$*" in
*" --loop-ms=500") echo $$ >pid; while :; do . ./gpus; sleep 0.02; done ;;
"--query-gpu=count,index,uuid,memory.total,memory.free,name --format=csv,noheader,nounits") . ./gpus ;;
"--query-compute-apps=gpu_uuid,pid,used_gpu_memory --format=csv,noheader,nounits") . ./processes ;;
*) echo "unknown: $*"; exit 2 ;;
esac
`, d.dir))
	return d
}

func (d *fakeSMI) path(name string) string { return filepath.Join(d.dir, name) }

// do makes it do something instead of printing GPUs.
func (d *fakeSMI) do(script string) { replace(d.t, d.path("gpus"), script) }

func (d *fakeSMI) say(devices []Device, usages ...Usage) {
	var processes strings.Builder
	for _, u := range usages {
		fmt.Fprintf(&processes, "echo '%s, %d, %d'\n", u.UUID, u.PID, u.Memory>>20)
	}
	replace(d.t, d.path("processes"), processes.String())
	d.do(echo(len(devices), devices...))
}

// echo is a script that prints GPUs.
func echo(count int, devices ...Device) string {
	var script strings.Builder
	for _, g := range devices {
		fmt.Fprintf(&script, "echo '%d, %d, %s, %d, %d, %s'\n", count, g.Index, g.UUID, g.Total>>20, g.Free>>20, g.Name)
	}
	return script.String()
}

func (d *fakeSMI) garbage() { d.do("echo 'Segmentation fault, or so'; head -c 100000 /dev/zero") }
func (d *fakeSMI) hang()    { d.do("exec sleep 600") }
func (d *fakeSMI) vanish()  { d.do(`echo "couldn't communicate with the NVIDIA driver" >&2; exit 9`) }
func (d *fakeSMI) lose(_, kept Device) {
	d.do("echo 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.'\n" + echo(2, kept))
}

func (d *fakeSMI) options() Options {
	return Options{NVIDIASMI: d.path("fake-nvidia-smi"), Library: "/there/is/no/libnvidia-ml.so.1"}
}

// realChild starts a process of ours that does nothing, and returns its PID.
func realChild(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}
