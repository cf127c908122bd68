package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// seesGPUs tells what CUDA would look for.
const seesGPUs = `
import os
def main(args):
    return {name: os.environ.get(name, "not set") for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}
`

// A fakeNvidiaSMI is a program of that name, first in the PATH. It does what the file "gpus" says, as often
// as it is asked to.
type fakeNvidiaSMI struct {
	t   *testing.T
	dir string
}

// Two unequal GPUs, of which the driver keeps some.
const (
	twoGPUs = "echo '2, 0, GPU-large, 81920, 81400, NVIDIA A100-SXM4-80GB'\n" +
		"echo '2, 1, GPU-small, 24576, 24200, NVIDIA GeForce RTX 4090'\n"
	noDevices  = "echo 'No devices were found'; exit 6\n"
	noDriver   = "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"; exit 9\n"
	gpuIsLost  = "echo '2, 0, GPU-large, 81920, 81400, NVIDIA A100-SXM4-80GB'\necho 'Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.'\n"
	smallModel = "rtx-4090"
)

func newFakeNvidiaSMI(t *testing.T, gpus string) *fakeNvidiaSMI {
	f := &fakeNvidiaSMI{t, t.TempDir()}
	f.say(gpus)
	f.write("nvidia-smi", fmt.Sprintf(`#!/bin/sh
cd '%s' || exit 1
case "$*" in
*--loop-ms=*) while :; do . ./gpus; sleep 0.1; done ;;
*--query-gpu=*) . ./gpus ;;
esac
`, f.dir))
	return f
}

func (f *fakeNvidiaSMI) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// say changes what it does.
func (f *fakeNvidiaSMI) say(gpus string) { f.write("gpus", gpus) }

// solo starts a server that finds it.
func (f *fakeNvidiaSMI) solo() *solo {
	f.t.Helper()
	return startSoloWith(f.t, []string{"PATH=" + f.dir + ":" + os.Getenv("PATH")})
}

func startSoloWith(t *testing.T, env []string) *solo {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	d := &solo{process: start(t, env, nil, "server", "--listen", "127.0.0.1:0", "--token", soloToken, "--data", dir), dir: dir}
	d.client = wireClient(t, d.waitFor(`server listening on (\S+)`), soloToken)
	return d
}

func needs(action string, r function.Requirements) function.Spec {
	return specOf("python:3", seesGPUs, func(s *function.Spec) { s.Action, s.Require = action, r })
}

func TestServerWithFakeNvidiaSMI(t *testing.T) {
	f := newFakeNvidiaSMI(t, twoGPUs)
	d := f.solo()
	here := d.status().Servers[0]
	want := []function.GPU{
		{UUID: "GPU-large", Name: "NVIDIA A100-SXM4-80GB", Memory: function.Memory{Budget: 81920 << 20, Used: 520 << 20, Room: (81920 - 520) << 20}},
		{UUID: "GPU-small", Name: "NVIDIA GeForce RTX 4090", Memory: function.Memory{Budget: 24576 << 20, Used: 376 << 20, Room: (24576 - 376) << 20}},
	}
	if !slices.Equal(here.GPUs, want) {
		t.Errorf("the status tells of %+v, want %+v", here.GPUs, want)
	}
	for _, label := range []string{"gpu", "a100", smallModel} {
		if !slices.Contains(here.Labels, label) {
			t.Errorf("the label %s is missing among %v", label, here.Labels)
		}
	}
	for name, c := range map[string]struct {
		r    function.Requirements
		want string
	}{
		"without": {function.Requirements{}, ""},
		"small":   {function.Requirements{GPUMemory: 8 << 30}, "GPU-small"},
		"large":   {function.Requirements{GPUMemory: 40 << 30}, "GPU-large"},
	} {
		g := d.init(needs(name, c.r), seesGPUs)
		seen := g.run(`{}`)
		if seen["CUDA_VISIBLE_DEVICES"] != c.want {
			t.Errorf("%s: CUDA_VISIBLE_DEVICES is %q, want %q", name, seen["CUDA_VISIBLE_DEVICES"], c.want)
		}
		if order := seen["CUDA_DEVICE_ORDER"]; c.want != "" && order != "PCI_BUS_ID" {
			t.Errorf("%s: CUDA_DEVICE_ORDER is %q", name, order)
		}
		g.stop()
	}
	_, err := d.tryInit(t.Context(), needs("too large", function.Requirements{GPUMemory: 100 << 30}), seesGPUs)
	if function.CodeOf(err) != function.CodeNoCapacity || !strings.Contains(err.Error(), "102400 MB") {
		t.Errorf("more than there is: %v", err)
	}

	f.say(gpuIsLost)
	eventually(t, "the lost GPU is no longer in the status", func() bool {
		gpus := d.status().Servers[0].GPUs
		return len(gpus) == 1 && gpus[0].UUID == "GPU-large"
	})
	var later *guest
	eventually(t, "the other GPU is used", func() bool { // a start that came before the loss was known may fail
		later, err = d.tryInit(t.Context(), needs("later", function.Requirements{GPUMemory: 8 << 30}), seesGPUs)
		if err != nil && !strings.Contains(err.Error(), "GPU-small is not here") {
			t.Fatal(err)
		}
		return err == nil
	})
	if seen := later.run(`{}`); seen["CUDA_VISIBLE_DEVICES"] != "GPU-large" {
		t.Errorf("with one GPU left: %v", seen)
	}

	d.stop()
	nothingLeft(t, f.dir)
	if log := d.log(); !strings.Contains(log, "a GPU is here") || !strings.Contains(log, "a GPU is gone") {
		t.Errorf("the log does not tell of the GPUs:\n%s", log)
	}
}

// By the name of its main, as users ask for it.
func TestMainAsksForAFakeNvidiaSMIsGPU(t *testing.T) {
	f := newFakeNvidiaSMI(t, twoGPUs)
	s := startStandalone(t, t.TempDir())
	d := start(t, []string{"PATH=" + f.dir + ":" + os.Getenv("PATH")}, nil,
		"server", "--balancer", s.balancer, "--token", s.token("join"), "--data", t.TempDir(), "--name", "gpu-box")
	d.waitFor(`joined`)
	for i, c := range []struct{ main, want string }{
		{"main@gpu", "GPU-large"}, // a whole one
		{"main@gpu?gpu-memory=8g", "GPU-small"},
		{"main@" + smallModel + "?gpu-memory=9g", "GPU-small"},
		{"main@a100?gpu-memory=40g", "GPU-large"},
	} {
		name := fmt.Sprint("f", i)
		s.put(name, action{kind: "python:3", main: c.main, code: seesGPUs})
		if got := s.result(name, `{}`); !strings.Contains(got, fmt.Sprintf("%q", c.want)) {
			t.Errorf("%s: %s, want %s", c.main, got, c.want)
		}
	}
	table := run(t, "status", "--data", s.dir)
	for _, words := range []string{"gpu-box", "NVIDIA A100-SXM4-80GB (81920 MB)", "NVIDIA GeForce RTX 4090 (24576 MB)"} {
		if !strings.Contains(table, words) {
			t.Errorf("%q is not in the status:\n%s", words, table)
		}
	}
	if !strings.Contains(run(t, "status", "--data", s.dir, "--json"), smallModel) {
		t.Error("the label is not in the status")
	}
}

// A server without GPUs says so, and does all else.
func TestServerWithoutGPU(t *testing.T) {
	begin := map[string]func(t *testing.T) *solo{
		"no nvidia-smi": func(t *testing.T) *solo {
			if path, err := exec.LookPath("nvidia-smi"); err == nil {
				t.Skip("this machine has", path)
			}
			return startSolo(t)
		},
		"FakeNvidiaSMI without devices": func(t *testing.T) *solo { return newFakeNvidiaSMI(t, noDevices).solo() },
		"FakeNvidiaSMI without driver":  func(t *testing.T) *solo { return newFakeNvidiaSMI(t, noDriver).solo() },
	}
	words := map[string]string{
		"no nvidia-smi":                 "no GPU",
		"FakeNvidiaSMI without devices": "no GPU",
		"FakeNvidiaSMI without driver":  "couldn't communicate with the NVIDIA driver",
	}
	for name := range begin {
		t.Run(name, func(t *testing.T) {
			d := begin[name](t)
			eventually(t, "the log says why", func() bool { return strings.Contains(d.log(), words[name]) })
			if here := d.status().Servers[0]; len(here.GPUs) > 0 || slices.Contains(here.Labels, "gpu") {
				t.Errorf("%+v", here)
			}
			if seen := d.init(needs("f", function.Requirements{}), seesGPUs).run(`{}`); seen["CUDA_VISIBLE_DEVICES"] != "" {
				t.Errorf("a function sees %v", seen)
			}
			_, err := d.tryInit(t.Context(), needs("g", function.Requirements{GPUMemory: 1 << 30}), seesGPUs)
			if function.CodeOf(err) != function.CodeNoCapacity || !strings.Contains(err.Error(), "here are 0") {
				t.Errorf("who needs a GPU: %v", err)
			}
		})
	}
}

func TestStatusSaysNoGPU(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	start(t, []string{"PATH=" + newFakeNvidiaSMI(t, noDevices).dir + ":" + os.Getenv("PATH")}, nil,
		"server", "--balancer", s.balancer, "--token", s.token("join"), "--data", t.TempDir(), "--name", "plain-box").waitFor(`joined`)
	table := run(t, "status", "--data", s.dir)
	if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "plain-box") && strings.Contains(line, "no GPU")
	}) {
		t.Errorf("the status does not say it:\n%s", table)
	}
}

// holdsGPUMemory takes 2 GB of its GPU at its start: by PyTorch, by Numba, or, where neither is installed, by the
// driver's own library.
const holdsGPUMemory = `
import ctypes, os, time
SIZE = 2 << 30
def torch_():
    import torch
    return torch.empty(SIZE, dtype=torch.uint8, device="cuda:0").fill_(1)
def numba_():
    from numba import cuda
    return cuda.device_array(SIZE, dtype="uint8")
def driver():
    cu = ctypes.CDLL("libcuda.so.1")
    def ok(error):
        if error: raise OSError("CUDA error %d" % error)
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    ok(cu.cuInit(0))
    ok(cu.cuDeviceGet(ctypes.byref(device), 0))
    ok(cu.cuCtxCreate_v2(ctypes.byref(context), 0, device))
    ok(cu.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(SIZE)))
    return memory
began = time.time()
for how in (torch_, numba_, driver):
    try:
        held = how()
        break
    except (ImportError, AssertionError): pass # PyTorch built without CUDA says so by an assertion
def main(args):
    return {"how": how.__name__.strip("_"), "seconds": time.time() - began, "gpu": os.environ["CUDA_VISIBLE_DEVICES"]}
`

// On a machine with a GPU: a function is placed there, what it takes is measured, and it makes room for another.
func TestRealGPUPlacesMeasuresAndEvicts(t *testing.T) {
	if _, err := exec.LookPath("nvidia-smi"); err != nil {
		t.Skip("no GPU here:", err)
	}
	d := startSolo(t, "--lease-grace", "1s")
	before := d.status().Servers[0].GPUs
	if len(before) == 0 {
		t.Skip("no GPU here: nvidia-smi lists none")
	}
	// So much of the largest that two do not fit.
	largest := slices.MaxFunc(before, func(a, b function.GPU) int { return int(a.Memory.Budget>>20 - b.Memory.Budget>>20) })
	most := (largest.Memory.Budget - largest.Memory.Used) / 3 * 2
	if most < 4<<30 {
		t.Skipf("no GPU here: of the largest, only %d MB are free", (largest.Memory.Budget-largest.Memory.Used)>>20)
	}
	holds := func(action string) function.Spec {
		return specOf("python:3", holdsGPUMemory, func(s *function.Spec) { s.Action, s.Require = action, function.Requirements{GPUMemory: most} })
	}
	usedOf := func(uuid string) int64 {
		for _, g := range d.status().Servers[0].GPUs {
			if g.UUID == uuid {
				return g.Memory.Used
			}
		}
		return 0
	}
	began := time.Now()
	one := d.init(holds("one"), holdsGPUMemory)
	first := one.run(`{}`)
	uuid, _ := first["gpu"].(string)
	t.Logf("the first, by %v, on %s: ready after %v", first["how"], uuid, time.Since(began).Round(time.Millisecond))
	if !slices.ContainsFunc(before, func(g function.GPU) bool { return g.UUID == uuid }) {
		t.Fatalf("it was granted %q; there are %+v", uuid, before)
	}
	without := before[slices.IndexFunc(before, func(g function.GPU) bool { return g.UUID == uuid })].Memory.Used
	eventually(t, "its 2 GB are measured", func() bool { return usedOf(uuid) >= without+2<<30 })
	t.Logf("of the GPU, %d MB are used with it, and %d MB were without", usedOf(uuid)>>20, without>>20)
	if len(before) > 1 {
		return // another GPU may have room for the next
	}
	began = time.Now()
	two := d.init(holds("two"), holdsGPUMemory)
	two.run(`{}`)
	t.Logf("the second, for which the first had to go: ready after %v", time.Since(began).Round(time.Millisecond))
	if now := d.status(); now.Servers[0].Evictions != 1 {
		t.Errorf("evictions: %d", now.Servers[0].Evictions)
	}
	two.stop()
	one.stop()
	eventually(t, "all memory is back", func() bool { return usedOf(uuid) <= without+256<<20 })
}
