package gpu

import (
	"slices"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

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
