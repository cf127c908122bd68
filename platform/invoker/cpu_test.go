package invoker

import "testing"

func TestCPUTicks(t *testing.T) {
	for text, want := range map[string][2]uint64{
		"cpu  10 1 2 100 5 3 4 7 1000 1000\ncpu0 1": {27, 105},
		"cpu  10 1 2 100": {13, 100},
		"":                {0, 0},
		"cpu x":           {0, 0},
	} {
		if used, idle := cpuTicks([]byte(text)); used != want[0] || idle != want[1] {
			t.Errorf("%q: %d, %d; want %v", text, used, idle, want)
		}
	}
}
