package runtime

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func find(body string) int64 {
	var d deadlineFinder
	d.Write([]byte(body))
	return d.deadline
}

func TestDeadlineFinder(t *testing.T) {
	cases := []struct {
		name, body string
		want       int64
	}{
		{"as the platform sends it", `{"value":{"a":1},"namespace":"guest","deadline":"1700000000000","api_key":"x"}`, 1700000000000},
		{"first", `{"deadline":"17","value":{}}`, 17},
		{"a number", `{"deadline":17}`, 17},
		{"with spaces", " {\n\t\"deadline\" :\r\n \"17\" , \"value\" : [ ] } ", 17},
		{"many spaces", `{"deadline":` + strings.Repeat(" ", 1000) + `"17"` + strings.Repeat(" ", 1000) + `}`, 17},
		{"absent", `{"value":{}}`, 0},
		{"empty object", `{}`, 0},
		{"nothing", ``, 0},
		{"nested", `{"value":{"deadline":"5","x":{"deadline":"6"}}}`, 0},
		{"nested, and real", `{"value":{"deadline":"5"},"deadline":"7"}`, 7},
		{"nested in an array", `{"value":[{"deadline":"5"}],"deadline":"7"}`, 7},
		{"in an array", `["deadline","5"]`, 0},
		{"as a value", `{"value":"deadline","x":"5"}`, 0},
		{"in a string", `{"value":"\",\"deadline\":\"5\"","deadline":"7"}`, 7},
		{"backslash before the quote", `{"value":"\\","deadline":"7"}`, 7},
		{"escaped key", `{"\u0064eadl\u0069ne":"7"}`, 7},
		{"escaped value", `{"deadline":"\u0037"}`, 7},
		{"last one counts", `{"deadline":"7","deadline":"8"}`, 8},
		{"last one counts, though bad", `{"deadline":"7","deadline":null}`, 0},
		{"longer key", `{"deadline2":"7"}`, 0},
		{"long key", `{"` + strings.Repeat("deadline", 100) + `":"7"}`, 0},
		{"an object", `{"deadline":{"a":"7"}}`, 0},
		{"an array", `{"deadline":["7"]}`, 0},
		{"negative", `{"deadline":"-7"}`, 0},
		{"a fraction", `{"deadline":"7.5"}`, 0},
		{"words", `{"deadline":"soon"}`, 0},
		{"too large", `{"deadline":"99999999999999999999"}`, 0},
		{"cut", `{"deadline":"7`, 0},
		{"not JSON", `}}}]]]"":,{{[`, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := find(c.body); got != c.want {
				t.Errorf("found %d, want %d", got, c.want)
			}
		})
	}
}

func TestDeadlineFinderAllocatesNothing(t *testing.T) {
	body := function.BytesBody([]byte(`{"value":{"name":"x"},"deadline":"1700000000000"}`))
	if n := testing.AllocsPerRun(100, func() { bodyDeadline(body, 1000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A string of backslashes must not be read again and again: 2 MB would take
// very long then, and the test's time limit ends it.
func TestDeadlineFinderManyEscapes(t *testing.T) {
	body := `{"value":"` + strings.Repeat(`\n`, 1<<20) + `","deadline":"7"}`
	if got := find(body); got != 7 {
		t.Errorf("found %d", got)
	}
}

func TestDeadlineOfBodyOnDisk(t *testing.T) {
	text := `{"value":"` + strings.Repeat("x", 200<<10) + `","deadline":"7"}`
	limits := function.BodyLimits{Memory: 1000, Max: 1 << 20}
	body, err := function.ReadBody(strings.NewReader(text), int64(len(text)), limits)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got := bodyDeadline(body, limits.Memory); got != 7 {
		t.Errorf("found %d", got)
	}
}

func TestTimeLeft(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	cases := map[int64]time.Duration{0: 0, -5: 0, 999_999: 0, 1_000_000: 0, 1_000_250: 250 * time.Millisecond}
	for deadline, want := range cases {
		if got := timeLeft(deadline, now); got != want {
			t.Errorf("timeLeft(%d) = %v, want %v", deadline, got, want)
		}
	}
	if got := timeLeft(1<<62, now); got != endless {
		t.Errorf("a far deadline gives %v", got)
	}
}

// FuzzDeadline holds the finder to encoding/json, with the text in two pieces.
func FuzzDeadline(f *testing.F) {
	for _, s := range []string{`{"value":{"deadline":"1"},"deadline":"2"}`, `{"\u0064eadline":3}`, `[1]`, `{"a":"\\\"","deadline":" 1"}`, `{"deadline":[1,{"deadline":2}]}`} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, body string, cut int) {
		var d deadlineFinder
		cut = max(0, min(cut, len(body)))
		d.Write([]byte(body[:cut]))
		d.Write([]byte(body[cut:]))
		var fields map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &fields) != nil {
			return
		}
		if want := slowDeadline(fields["deadline"]); d.deadline != want {
			t.Errorf("%q: found %d, want %d", body, d.deadline, want)
		}
	})
}

func slowDeadline(raw json.RawMessage) int64 {
	if len(raw) > maxToken {
		return 0
	}
	text := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		json.Unmarshal(raw, &text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
