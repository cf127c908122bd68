package invoker

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/whiskaway/whiskaway/platform/bus"
)

func TestMember(t *testing.T) {
	for object, want := range map[string]string{
		`{}`:                               "",
		`{"error":1}`:                      "1",
		` { "a" : "}\"," , "error" : {} }`: "{}",
		`{"a":{"error":1},"b":["error"]}`:  "",
		`{"Error":1}`:                      "",
		`{"\u0065rror":"x"}`:               `"x"`,
		`{"error":1,"error":[2, 3]}`:       "[2, 3]",
		`{"a":"\\","error":null}`:          "null",
	} {
		data := []byte(object)
		start := skipSpace(data, 0)
		if got := string(member(data[start:], "error")); got != want {
			t.Errorf("%s: %q, want %q", object, got, want)
		}
	}
}

// FuzzMember holds member against encoding/json.
func FuzzMember(f *testing.F) {
	f.Add(`{"error":1,"a":[{"b":"c\"d"}]}`)
	f.Add(`{"a\\":{},"error":"\\"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var object map[string]json.RawMessage
		if len(text) == 0 || text[0] != '{' || json.Unmarshal([]byte(text), &object) != nil {
			return
		}
		want, ok := object["error"]
		got := member([]byte(text), "error")
		if ok != (got != nil) || string(got) != string(want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	whole := "aé€😀"
	for n := range len(whole) + 1 {
		got := text([]byte(whole[:n]))
		if !json.Valid([]byte(`"`+got+`"`)) || len(got) > n || n-len(got) > 3 {
			t.Errorf("%d bytes became %q", n, got)
		}
	}
}

func TestJourney(t *testing.T) {
	h := http.Header{}
	if journeyOf(h) != nil {
		t.Error("a runtime that says nothing has no journey")
	}
	h.Add("Server-Timing", `function;dur=1.2, server;desc="x";dur=2`)
	h.Add("Server-Timing", `runtime; dur="3.5", bad;dur=x, none`)
	h.Set("Whiskaway-Server", "box")
	j := journeyOf(h)
	got, err := json.Marshal(j)
	if want := `{"server":"box","cold":false,"stations":{"function":1.2,"runtime":3.5,"server":2}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	for _, j := range []*journey{j, {Cold: true}, {Server: "a\"b", Stations: map[string]float64{"x": 0.001}}} {
		if j.Stations == nil {
			j.Stations = map[string]float64{}
		}
		want, err := json.Marshal(j)
		if got := j.AppendJSON(nil); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	l := bus.Limits{Timeout: 1, Memory: 2, Logs: 3, Concurrency: 4}
	want, err := json.Marshal(l)
	if got := limits(l).AppendJSON(nil); err != nil || string(got) != string(want) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
