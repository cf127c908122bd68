package gpu

import (
	"slices"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	b := func(uuid string, total, taken int64, workers int) Budget {
		return Budget{UUID: uuid, Total: total * gb, Taken: taken * gb, Workers: workers}
	}
	two := []Budget{b("small", 24, 0, 0), b("large", 80, 0, 0)}
	for name, c := range map[string]struct {
		devices []Budget
		count   int
		memory  int64 // GB
		want    string
		refused bool
	}{
		"the smaller that is enough":        {two, 1, 8, "small", false},
		"the order does not matter":         {[]Budget{two[1], two[0]}, 1, 8, "small", false},
		"only the larger is enough":         {two, 1, 40, "large", false},
		"all of the smaller":                {two, 1, 24, "small", false},
		"none is large enough":              {two, 1, 81, "", true},
		"both":                              {two, 2, 8, "small large", false},
		"both, one is too small":            {two, 2, 40, "", true},
		"more than there are":               {two, 3, 1, "", true},
		"no GPU wanted":                     {two, 0, 0, "", false},
		"no GPU wanted, none here":          {nil, 0, 0, "", false},
		"none here":                         {nil, 1, 1, "", true},
		"the smaller has no room":           {[]Budget{b("small", 24, 20, 1), two[1]}, 1, 8, "large", false},
		"the larger has less room":          {[]Budget{two[0], b("large", 80, 70, 3)}, 1, 8, "large", false},
		"as much room, fewer workers":       {[]Budget{b("a", 80, 40, 2), b("b", 80, 40, 1)}, 1, 8, "b", false},
		"as much room, the first":           {[]Budget{b("a", 80, 40, 1), b("b", 80, 40, 1)}, 1, 8, "a", false},
		"taken beyond all there is":         {[]Budget{b("a", 24, 30, 1)}, 1, 1, "", true},
		"undeclared: the most room":         {two, 1, 0, "large", false},
		"undeclared: alone":                 {[]Budget{two[0], b("large", 80, 8, 1)}, 1, 0, "small", false},
		"undeclared: all are shared":        {[]Budget{b("small", 24, 1, 1), b("large", 80, 8, 1)}, 1, 0, "", true},
		"undeclared: others use some":       {[]Budget{two[0], b("large", 80, 70, 0)}, 1, 0, "small", false},
		"undeclared: others use all":        {[]Budget{b("small", 24, 24, 0)}, 1, 0, "", true},
		"undeclared: both":                  {two, 2, 0, "large small", false},
		"undeclared holds all of it":        {[]Budget{b("small", 24, 24, 1), b("large", 80, 80, 1)}, 1, 1, "", true},
		"memory not known: undeclared":      {[]Budget{b("shared", 0, 0, 0)}, 1, 0, "shared", false},
		"memory not known: undeclared, two": {[]Budget{b("shared", 0, 0, 1)}, 1, 0, "", true},
		"memory not known: declared":        {[]Budget{b("shared", 0, 0, 0)}, 1, 1, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.devices)
			got, ok := Place(c.devices, c.count, c.memory*gb)
			if strings.Join(got, " ") != c.want || ok == c.refused {
				t.Errorf("got %v, %v; want %q", got, ok, c.want)
			}
			if !slices.Equal(before, c.devices) {
				t.Error("what was given has changed")
			}
		})
	}
}

// Whatever the GPUs: what is granted has room, is granted once, and nothing is
// refused that would fit.
func FuzzPlace(f *testing.F) {
	f.Add([]byte{24, 3, 1, 80, 0, 0}, 1, int64(8))
	f.Add([]byte{0, 48, 48}, 1, int64(0))
	f.Add([]byte{24, 30, 1, 80, 80, 1, 0, 0, 0}, 2, int64(0))
	f.Fuzz(func(t *testing.T, bytes []byte, count int, memory int64) {
		var devices []Budget
		for i := 0; i+2 < len(bytes); i += 3 {
			devices = append(devices, Budget{UUID: string(rune('A' + i)), Total: int64(bytes[i]), Taken: int64(bytes[i+1]), Workers: int(bytes[i+2] % 4)})
		}
		count, memory = max(0, count%5), max(0, memory%256)
		fitting := 0
		for _, d := range devices {
			if memory > 0 && d.Total-d.Taken >= memory || memory == 0 && d.Workers == 0 && (d.Total == 0 || d.Total > d.Taken) {
				fitting++
			}
		}
		got, ok := Place(devices, count, memory)
		if ok != (fitting >= count) || ok && len(got) != count || !ok && got != nil {
			t.Fatalf("%+v: %d of %d: got %v, %v", devices, count, memory, got, ok)
		}
		for i, uuid := range got {
			d := devices[slices.IndexFunc(devices, func(d Budget) bool { return d.UUID == uuid })]
			if memory > 0 && d.Total-d.Taken < memory || slices.Contains(got[:i], uuid) {
				t.Errorf("%+v: %d of %d: got %v", devices, count, memory, got)
			}
		}
	})
}

func TestEnv(t *testing.T) {
	for name, c := range map[string]struct{ uuids, want []string }{
		"none": {nil, []string{"CUDA_VISIBLE_DEVICES="}},
		"two": {[]string{"GPU-1", "GPU-2"}, []string{
			"CUDA_VISIBLE_DEVICES=GPU-1,GPU-2", "CUDA_DEVICE_ORDER=PCI_BUS_ID", "NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2",
		}},
	} {
		if got := Env(c.uuids); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
