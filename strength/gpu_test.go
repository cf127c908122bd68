package strength

import (
	"context"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The UUIDs of the fake library's GPUs. The third one is out of memory.
const (
	gpu0 = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
	gpu1 = "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f"
	gpu2 = "GPU-20212223-2425-2627-2829-2a2b2c2d2e2f"
)

// fakeStrength is what the fake library's times make: 512 MB in 1 ms, and 2*32*4096
// operations in each of 800*256 threads in 2 ms.
var fakeStrength = math.Sqrt((512 << 20) / 1e-3 / referenceBandwidth * (2 * 32 * 4096 * 800 * 256 / 2e-3 / referenceFlops))

// fakeCUDA builds testdata/cuda.c as libcuda.so.1, lets processes find it, and returns the file of its books.
func fakeCUDA(t *testing.T) (books string) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("cc", "-shared", "-fPIC", "-o", filepath.Join(dir, "libcuda.so.1"), "testdata/cuda.c").CombinedOutput()
	if err != nil {
		t.Skipf("building the fake library takes a C compiler: %v\n%s", err, out)
	}
	books = filepath.Join(dir, "books")
	t.Setenv("LD_LIBRARY_PATH", dir)
	t.Setenv("FAKE_CUDA_BOOKS", books)
	return books
}

func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no Python")
	}
	return path
}

func close3(a, b float64) bool { return math.Abs(a-b) < 0.001*b }

func TestGPUsAreMeasuredWithFakeCUDA(t *testing.T) {
	books := fakeCUDA(t)
	got, err := GPUs(t.Context(), python(t), []string{gpu0, gpu2})
	if len(got) != 1 || !close3(got[gpu0], fakeStrength) {
		t.Errorf("got %v, want %s: %v only", got, gpu0, fakeStrength)
	}
	if err == nil || !strings.Contains(err.Error(), "GPU 2: cuMemAlloc_v2 answers 2") {
		t.Errorf("the third GPU: %v", err)
	}
	text, _ := os.ReadFile(books)
	if string(text) != "inits 1 memory 0 contexts 0 events 0\n" {
		t.Errorf("its books at the end: %q", text)
	}
}

func TestNoGPUIsToldWithFakeCUDA(t *testing.T) {
	fakeCUDA(t)
	t.Setenv("FAKE_CUDA_NONE", "1")
	if got, err := GPUs(t.Context(), python(t), []string{gpu0}); len(got) != 0 || err == nil || !strings.Contains(err.Error(), "cuInit answers 100") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNoLibraryIsTold(t *testing.T) {
	if _, err := exec.Command("sh", "-c", "ldconfig -p | grep -q libcuda.so.1").Output(); err == nil {
		t.Skip("this machine has the library")
	}
	if got, err := GPUs(t.Context(), python(t), []string{gpu0}); len(got) != 0 || err == nil || !strings.Contains(err.Error(), "libcuda.so.1") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestADriverThatHangsIsLeftWithFakeCUDA(t *testing.T) {
	fakeCUDA(t)
	t.Setenv("FAKE_CUDA_HANG", "1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := GPUs(ctx, python(t), []string{gpu0}); len(got) != 0 || err == nil || !strings.Contains(err.Error(), "it was ended") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatWasMeasuredIsKeptWithFakeCUDA(t *testing.T) {
	books, dir := fakeCUDA(t), t.TempDir()
	m := Machine{GPUs: []string{gpu0}, Driver: "1", Python: python(t), Log: slog.New(slog.DiscardHandler)}
	inits := func() int {
		text, _ := os.ReadFile(books)
		return strings.Count(string(text), "inits 1")
	}
	first := Of(t.Context(), dir, m)
	if first.CPU <= 0 || !close3(first.GPUs[gpu0], fakeStrength) || inits() != 1 {
		t.Fatalf("first: %+v, measured %d times", first, inits())
	}
	if again := Of(t.Context(), dir, m); again.CPU != first.CPU || again.GPUs[gpu0] != first.GPUs[gpu0] || inits() != 1 {
		t.Errorf("again: %+v, measured %d times", again, inits())
	}
	m.Driver = "2"
	if Of(t.Context(), dir, m); inits() != 2 {
		t.Errorf("with another driver: measured %d times", inits())
	}
	m.GPUs = append(m.GPUs, gpu1)
	if more := Of(t.Context(), dir, m); inits() != 3 || len(more.GPUs) != 2 {
		t.Errorf("with another GPU: %+v, measured %d times", more, inits())
	}
	m.GPUs = []string{gpu1} // somebody uses the other one
	if busy := Of(t.Context(), dir, m); inits() != 3 || len(busy.GPUs) != 2 {
		t.Errorf("with a GPU in use: %+v, measured %d times", busy, inits())
	}
	if err := os.WriteFile(fileIn(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if anew := Of(t.Context(), dir, m); inits() != 4 || anew.CPU <= 0 {
		t.Errorf("with a file that is broken: %+v, measured %d times", anew, inits())
	}
}

func TestWithoutPythonOnlyTheCPUIsMeasured(t *testing.T) {
	got := Of(t.Context(), t.TempDir(), Machine{GPUs: []string{gpu0}, Log: slog.New(slog.DiscardHandler)})
	if got.CPU <= 0 || len(got.GPUs) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTheProcessorIsNamedWithoutWhatChanges(t *testing.T) {
	text := "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\ncpu MHz\t\t: 1996.249\n\nprocessor\t: 1\nmodel name\t: other\n"
	if got := modelIn(text); !strings.HasSuffix(got, " 1 AMD EPYC") || strings.Contains(got, "1996") {
		t.Errorf("got %q", got)
	}
}
