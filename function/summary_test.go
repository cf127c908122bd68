package function

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func sampleSummaries() []Summary {
	full := Summary{Outcome: OutcomeOK, Stream: true, Cold: true, Memory: 123456789, Server: "gpu-1"}
	for _, name := range []string{"function", "server", "balancer", "runtime", "elsewhere"} {
		full.Passed(name, 1234*time.Microsecond)
	}
	return []Summary{
		{}, {Outcome: OutcomeOK}, full, Lost("cut"),
		{Outcome: "x<>&", Error: "a \"b\"\n\x00ü\u2028\xff", Server: `back\slash`, Memory: -5},
		{Outcome: OutcomeOK, Memory: 9223372036854775807, Stations: []Station{{Micros: -9223372036854775808}, {"", 0}}},
		{Outcome: OutcomeOK, Stations: []Station{}},
	}
}

// checkSummary compares the two ways to write a summary, and to read it.
func checkSummary(t *testing.T, s Summary) {
	t.Helper()
	want, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.AppendJSON([]byte("x")); string(got) != "x"+string(want) {
		t.Errorf("AppendJSON wrote %s\njson.Marshal     %s", got[1:], want)
	}
	checkParse(t, want)
}

// checkParse checks that what ParseJSON takes is what encoding/json reads.
func checkParse(t *testing.T, text []byte) (fast bool) {
	t.Helper()
	var got, want Summary
	if !got.ParseJSON(text) {
		return false
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Errorf("ParseJSON takes %q, which is no JSON: %v", text, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nParseJSON read  %+v\njson.Unmarshal  %+v", text, got, want)
	}
	return true
}

func TestSummaryAsJSON(t *testing.T) {
	for _, s := range sampleSummaries() {
		checkSummary(t, s)
	}
	common := sampleSummaries()[2]
	if text := common.AppendJSON(nil); !checkParse(t, text) {
		t.Errorf("a common summary is read the slow way: %s", text)
	}
}

func TestSummaryIsNotReadFromOtherJSON(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"outcome":"ok"`, `{"outcome":"ok"} `, `{"outcome":"ok"}}`, ` {"outcome":"ok"}`, `{"outcome":"o\u006b"}`,
		`{"outcome":"ok","cold":false}`, `{"outcome":"ok","refused":{"error":"x","code":"busy"}}`, `{"outcome":"ok","memory":01}`,
		`{"outcome":"ok","memory":}`, `{"outcome":"ok","memory":1.5}`, `{"outcome":"ok","memory":9223372036854775808}`,
		`{"outcome":"ok","stations":[]}`, `{"outcome":"ok","stations":[{"name":"a","us":1},]}`, `{"outcome":"ok","stations":[{"name":"a","us":1}`,
		`{"cold":true,"outcome":"ok"}`, `{"outcome":"ü"}`, `{"outcome":ok}`, `{"outcome":"ok`,
	} {
		var s Summary
		if s.ParseJSON([]byte(text)) {
			t.Errorf("%q was taken: %+v", text, s)
		}
	}
}

func FuzzSummaryAsJSON(f *testing.F) {
	f.Add("ok", "", false, true, int64(4096), "box", "server", int64(12), "", int64(0))
	f.Add("lost", "a \"b\" <c> \x00\xff\u2029", true, false, int64(-1), "ü\\", "", int64(-12), "runtime", int64(1))
	f.Fuzz(func(t *testing.T, outcome, failure string, stream, cold bool, memory int64, server, a string, aMicros int64, b string, bMicros int64) {
		s := Summary{Outcome: Outcome(outcome), Error: failure, Stream: stream, Cold: cold, Memory: memory, Server: server}
		if a != "" {
			s.Stations = []Station{{a, aMicros}, {b, bMicros}}
		}
		checkSummary(t, s)
	})
}

func FuzzSummaryParse(f *testing.F) {
	for _, s := range sampleSummaries() {
		f.Add(s.AppendJSON(nil))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkParse(t, text) })
}

func BenchmarkSummaryAsJSON(b *testing.B) {
	s := sampleSummaries()[2]
	text := s.AppendJSON(nil)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			text = s.AppendJSON(text[:0])
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !s.ParseJSON(text) {
				b.Fatal("read the slow way")
			}
		}
	})
}
