package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The GPUs of strength/testdata/cuda.c, as nvidia-smi would name them. The second is used by somebody else.
const cudaGPUs = "echo '2, 0, GPU-00010203-0405-0607-0809-0a0b0c0d0e0f, 40960, 40500, NVIDIA A100-SXM4-40GB'\n" +
	"echo '2, 1, GPU-10111213-1415-1617-1819-1a1b1c1d1e1f, 40960, 20000, NVIDIA A100-SXM4-40GB'\n"

// A server says how strong it is, and does not measure again at its next start.
func TestAServersStrengthWithFakeNvidiaSMIAndFakeCUDA(t *testing.T) {
	t.Parallel()
	f := newFakeNvidiaSMI(t, cudaGPUs)
	library := filepath.Join(f.dir, "libcuda.so.1")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", library, "../strength/testdata/cuda.c").CombinedOutput(); err != nil {
		t.Skipf("building the fake library takes a C compiler: %v\n%s", err, out)
	}
	books := filepath.Join(f.dir, "books")
	env := []string{"PATH=" + f.dir + ":" + os.Getenv("PATH"), "LD_LIBRARY_PATH=" + f.dir, "FAKE_CUDA_BOOKS=" + books}
	dir := t.TempDir()
	var before float64
	for round := range 2 {
		d := &solo{process: start(t, env, nil, "server", "--listen", "127.0.0.1:0", "--token", soloToken, "--data", dir), dir: dir}
		url := d.waitFor(`server listening on (\S+)`)
		d.client = wireClient(t, url, soloToken)
		v := d.status().Servers[0]
		if v.Strength <= 0 || round > 0 && v.Strength != before {
			t.Errorf("start %d: one CPU is %v, before %v", round, v.Strength, before)
		}
		before = v.Strength
		if len(v.GPUs) != 2 || v.GPUs[0].Strength <= 0 || v.GPUs[1].Strength != 0 {
			t.Errorf("start %d: the GPUs are %+v", round, v.GPUs)
		}
		said := run(t, "status", "--balancer", url, "--token", soloToken)
		for _, want := range []string{fmt.Sprintf("%d x %.2f", v.CPUs, v.Strength), fmt.Sprintf("MB, x %.2f)", v.GPUs[0].Strength)} {
			if !strings.Contains(said, want) {
				t.Errorf("the status lacks %q:\n%s", want, said)
			}
		}
		if !strings.Contains(d.log(), "somebody uses it") {
			t.Errorf("nothing is said of the GPU that is in use:\n%s", d.log())
		}
		d.stop()
	}
	text, err := os.ReadFile(books)
	if err != nil || string(text) != "inits 1 memory 0 contexts 0 events 0\n" {
		t.Errorf("the library's books: %q, %v", text, err)
	}
}
