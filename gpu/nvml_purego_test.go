//go:build nvml && linux

package gpu

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A fakeNVML is testdata/fakenvml.c.
type fakeNVML struct {
	t             *testing.T
	library, file string
}

func newFakeNVML(t *testing.T) fakeDriver {
	t.Helper()
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("there is no gcc here to compile the fake NVML with")
	}
	dir := t.TempDir()
	d := &fakeNVML{t, filepath.Join(dir, "libfake-nvidia-ml.so.1"), filepath.Join(dir, "says")}
	if out, err := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-o", d.library, "testdata/fakenvml.c").CombinedOutput(); err != nil {
		t.Fatalf("compiling the fake NVML: %v\n%s", err, out)
	}
	t.Setenv("FAKE_NVML", d.file)
	// A call that hangs ends when it is told to; nobody should be left behind.
	t.Cleanup(func() { d.say(nil) })
	return d
}

func (d *fakeNVML) write(text string) { replace(d.t, d.file, text) }

func gpuLine(g Device, result int) string {
	return fmt.Sprintf("gpu %d %s %d %d %s\n", result, g.UUID, g.Total, g.Free, g.Name)
}

func (d *fakeNVML) say(devices []Device, usages ...Usage) {
	var text strings.Builder
	for _, g := range devices {
		text.WriteString(gpuLine(g, 0))
	}
	for _, u := range usages {
		fmt.Fprintf(&text, "process %s %d %d\n", u.UUID, u.PID, u.Memory)
	}
	d.write(text.String())
}

func (d *fakeNVML) garbage()               { d.write("gpu 0 GPU-mad 1000 2000 More is free than there is\n") }
func (d *fakeNVML) hang()                  { d.write("hang\n") }
func (d *fakeNVML) vanish()                { d.write("init 9\n") }
func (d *fakeNVML) lose(lost, kept Device) { d.write(gpuLine(lost, 15) + gpuLine(kept, 0)) }
func (d *fakeNVML) options() Options {
	return Options{NVIDIASMI: "/there/is/no/nvidia-smi", Library: d.library}
}

func TestManyProcessesFakeNVML(t *testing.T) {
	d := newFakeNVML(t)
	var usages []Usage
	for i := range 290 {
		usages = append(usages, Usage{UUID: "GPU-small", PID: 1000 + i, Memory: mb})
	}
	usages[5].Memory = -1 // not known
	d.say([]Device{small(gb)}, usages...)
	got, err := open(t, d.options()).Processes(t.Context())
	if err != nil || len(got) != 289 {
		t.Errorf("got %d processes, %v", len(got), err)
	}
}

func TestSharedMemoryFakeNVML(t *testing.T) {
	d := newFakeNVML(t)
	d.say([]Device{{UUID: "GPU-shared", Name: "NVIDIA GB10"}})
	devices, err := open(t, d.options()).Devices(t.Context())
	if err != nil || len(devices) != 1 || devices[0].Total != 0 {
		t.Errorf("got %v, %v", devices, err)
	}
}

func TestNotNVMLIsRefused(t *testing.T) {
	_, err := Open(t.Context(), Options{Library: "libc.so.6", NVIDIASMI: "/there/is/no/nvidia-smi"})
	if err == nil || errors.Is(err, ErrNoGPU) || !strings.Contains(err.Error(), "no NVML that is known here") {
		t.Errorf("got %v", err)
	}
	_, err = Open(t.Context(), Options{Library: "/there/is/no/libnvidia-ml.so.1", NVIDIASMI: "/there/is/no/nvidia-smi"})
	if !errors.Is(err, ErrNoGPU) {
		t.Errorf("without the library: got %v", err)
	}
}

func TestNvidiaSMIFollowsABrokenFakeNVML(t *testing.T) {
	library, program := newFakeNVML(t), newFakeSMI(t)
	library.vanish()
	program.say([]Device{small(gb)})
	o := library.options()
	o.NVIDIASMI = program.options().NVIDIASMI
	if s := open(t, o); s.Name() != "nvidia-smi" {
		t.Errorf("opened %s", s.Name())
	}
}
