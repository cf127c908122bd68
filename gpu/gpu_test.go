package gpu

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		want  []function.GPU
		fails string // part of the error
	}{
		"none": {text: "\n"},
		"one": {
			text: "GPU-d1a3, NVIDIA H200, 143771, 12\n",
			want: []function.GPU{{UUID: "GPU-d1a3", Name: "NVIDIA H200", Memory: function.Memory{Budget: 143771 << 20, Used: 12 << 20}}},
		},
		"two, one with shared memory": {
			text: "GPU-1, Tesla T4, 15360, 0\r\nGPU-2, NVIDIA GB10, [N/A], [N/A]\r\n",
			want: []function.GPU{
				{UUID: "GPU-1", Name: "Tesla T4", Memory: function.Memory{Budget: 15360 << 20}},
				{UUID: "GPU-2", Name: "NVIDIA GB10"},
			},
		},
		"too few fields": {text: "GPU-1, Tesla T4, 15360\n", fails: "4 fields"},
		"not a number":   {text: "GPU-1, Tesla T4, 15360 MiB, 0\n", fails: `"15360 MiB" is not a number`},
		"negative":       {text: "GPU-1, Tesla T4, 15360, -1\n", fails: "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(c.text)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got the error %v, want %q in it", err, c.fails)
				}
				return
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	for name, want := range map[string]string{
		"NVIDIA H200":                    "h200",
		"NVIDIA A100-SXM4-80GB":          "a100",
		"NVIDIA A100 80GB PCIe":          "a100",
		"NVIDIA H100 80GB HBM3":          "h100",
		"NVIDIA GH200 480GB":             "gh200",
		"Tesla V100-SXM2-16GB":           "v100",
		"Tesla T4":                       "t4",
		"NVIDIA GeForce RTX 4090":        "rtx-4090",
		"NVIDIA GeForce RTX 3080 Ti":     "rtx-3080-ti",
		"NVIDIA RTX 6000 Ada Generation": "rtx-6000-ada",
		"NVIDIA L40S":                    "l40s",
	} {
		got := Labels([]function.GPU{{Name: name}, {Name: name}})
		wanted := []string{"gpu", want}
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: got %v, want %v", name, got, wanted)
		}
		for _, label := range got {
			if err := function.CheckLabel(label); err != nil {
				t.Error(err)
			}
		}
	}
	if got := Labels(nil); len(got) != 0 {
		t.Errorf("labels without a GPU: %v", got)
	}
}

// fakeNvidiaSMI is a script that stands for nvidia-smi, which test machines
// seldom have.
func fakeNvidiaSMI(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake-nvidia-smi")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDetectWithFakeNvidiaSMI(t *testing.T) {
	gpus, err := detect(t.Context(), fakeNvidiaSMI(t,
		`[ "$1" = --query-gpu=uuid,name,memory.total,memory.used ] && echo "GPU-1, NVIDIA H200, 100, 1"`))
	if err != nil || len(gpus) != 1 || gpus[0].UUID != "GPU-1" {
		t.Errorf("got %v, %v", gpus, err)
	}
	gpus, err = detect(t.Context(), fakeNvidiaSMI(t, `echo No devices were found; exit 6`))
	if err != nil || len(gpus) != 0 {
		t.Errorf("no devices: got %v, %v", gpus, err)
	}
	_, err = detect(t.Context(), fakeNvidiaSMI(t, `echo "couldn't communicate with the driver" >&2; exit 9`))
	if err == nil || !strings.Contains(err.Error(), "communicate with the driver") {
		t.Errorf("a driver that does not answer: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := detect(ctx, fakeNvidiaSMI(t, `exec sleep 60`)); err == nil {
		t.Error("no error although the caller left")
	}
}

func TestNoToolIsNoGPUAndNoError(t *testing.T) {
	gpus, err := detect(t.Context(), filepath.Join(t.TempDir(), "not-there"))
	if err != nil || len(gpus) != 0 {
		t.Fatalf("got %v, %v", gpus, err)
	}
}
