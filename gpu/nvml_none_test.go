//go:build !nvml || !linux

package gpu

import (
	"errors"
	"strings"
	"testing"
)

func newFakeNVML(*testing.T) fakeDriver { return nil }

func TestABuildWithoutNVMLSaysSo(t *testing.T) {
	_, err := Open(t.Context(), Options{NVIDIASMI: "/there/is/no/nvidia-smi"})
	if !errors.Is(err, ErrNoGPU) || !strings.Contains(err.Error(), "build with -tags nvml") || !strings.Contains(err.Error(), "/there/is/no/nvidia-smi") {
		t.Errorf("got %v", err)
	}
}
