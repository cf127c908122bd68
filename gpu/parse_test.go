package gpu

import (
	"slices"
	"strings"
	"testing"
)

func TestParseDevice(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		want  Device
		fails string // part of the error
	}{
		"one": {
			text: "1, 0, GPU-d1a3, 143771, 143759, NVIDIA H200",
			want: Device{UUID: "GPU-d1a3", Name: "NVIDIA H200", Total: 143771 * mb, Free: 143759 * mb, Used: 12 * mb},
		},
		"a comma in its name": {
			text: "2, 1, GPU-d1a3, 15360, 0, Tesla, T4 \r",
			want: Device{UUID: "GPU-d1a3", Name: "Tesla, T4", Index: 1, Total: 15360 * mb, Used: 15360 * mb},
		},
		"the machine's memory":   {text: "1, 0, GPU-2, [N/A], [N/A], NVIDIA GB10", want: Device{UUID: "GPU-2", Name: "NVIDIA GB10"}},
		"too few fields":         {text: "1, 0, GPU-1, 15360, 1", fails: "6 fields"},
		"a unit":                 {text: "1, 0, GPU-1, 15360 MiB, 0, Tesla T4", fails: `the memory: "15360 MiB" is not a number`},
		"negative":               {text: "1, 0, GPU-1, 15360, -1, Tesla T4", fails: "the free memory"},
		"more free than total":   {text: "1, 0, GPU-1, 15360, 15361, Tesla T4", fails: "more memory is free"},
		"too much":               {text: "1, 0, GPU-1, 99999999999999, 1, Tesla T4", fails: "the memory"},
		"no count":               {text: "one, 0, GPU-1, 15360, 1, Tesla T4", fails: "how many GPUs"},
		"no index":               {text: "1, -1, GPU-1, 15360, 1, Tesla T4", fails: "the index"},
		"no UUID":                {text: "1, 0, [Unknown Error], 15360, 1, Tesla T4", fails: "the UUID"},
		"something else":         {text: "Failed to initialize NVML: Driver/library version mismatch", fails: "Driver/library version mismatch"},
		"an index beyond an int": {text: "1, 99999999999999999999, GPU-1, 1, 1, T4", fails: "the index"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := parseDevice(c.text)
			check(t, got == c.want, err, c.fails)
		})
	}
}

func TestParseUsage(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		want    Usage
		unknown bool
		fails   string
	}{
		"one":            {text: "GPU-1, 4711, 300", want: Usage{"GPU-1", 4711, 300 * mb}},
		"not known":      {text: "GPU-1, 4711, [N/A]", unknown: true},
		"no PID":         {text: "GPU-1, [N/A], 300", fails: "the process"},
		"no number":      {text: "GPU-1, 4711, 300 MiB", fails: "the memory"},
		"too few fields": {text: "GPU-1, 4711", fails: "3 fields"},
	} {
		t.Run(name, func(t *testing.T) {
			got, known, err := parseUsage(c.text)
			check(t, !known || got == c.want, err, c.fails)
			if known != (c.fails == "" && !c.unknown) {
				t.Errorf("known is %v", known)
			}
		})
	}
}

// check checks what a parser returns.
func check(t *testing.T, same bool, err error, fails string) {
	t.Helper()
	if (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
		t.Errorf("got the error %v, want %q in it", err, fails)
	}
	if err == nil && !same {
		t.Error("it was read wrongly")
	}
}

// Whatever is printed, nothing panics, and what is understood can be true.
func FuzzParse(f *testing.F) {
	f.Add("1, 0, GPU-d1a3, 143771, 143759, NVIDIA H200")
	f.Add("GPU-1, 4711, 300")
	f.Add("1, 0, GPU-2, [N/A], [N/A], NVIDIA GB10")
	f.Fuzz(func(t *testing.T, text string) {
		d, count, err := parseDevice(text)
		if err == nil && (d.Free < 0 || d.Used < 0 || d.Free+d.Used != d.Total || d.Index < 0 || count < 0) {
			t.Errorf("%q: %+v", text, d)
		}
		u, known, err := parseUsage(text)
		if err == nil && known && (u.PID < 0 || u.Memory < 0) {
			t.Errorf("%q: %+v", text, u)
		}
	})
}

func TestRounds(t *testing.T) {
	var r round
	a, b := Device{Index: 0}, Device{Index: 1}
	for i, c := range []struct {
		d     Device
		count int
		want  []int // lengths of what is complete
	}{
		{a, 2, nil}, {b, 2, []int{2}}, {a, 2, nil}, {b, 2, []int{2}}, // both, twice
		{b, 2, nil}, {b, 2, []int{1}}, {b, 2, []int{1}}, // the first has gone
		{a, 2, []int{1}}, {b, 2, []int{2}}, // and is back
		{a, 1, []int{1}}, {a, 1, []int{1}}, // there is one only
	} {
		var got []int
		for _, devices := range r.add(c.d, c.count) {
			got = append(got, len(devices))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("step %d: got %v, want %v", i, got, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := &lines{line: func(s string) { got = append(got, s) }}
	long := strings.Repeat("x", 3*maxLine)
	for _, piece := range []string{"a", "b\nc\n", "\n", long, long, "\nd\ne"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}
	if want := []string{"ab", "c", "", long[:maxLine], "d"}; !slices.Equal(got, want) {
		t.Errorf("got %.100q", got)
	}
}
