package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) record {
	t.Helper()
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestJourney(t *testing.T) {
	r := parse(t, `{"annotations":[{"key":"path","value":"guest/hello"},{"key":"limits","value":{"timeout":60000}},
		{"key":"whiskaway","value":{"server":"llm-box","cold":true,"stations":{"function":1.2,"controller":9}}}]}`)
	j, err := r.journey()
	if err != nil || j.Server != "llm-box" || !j.Cold || j.Stations["function"] != 1.2 {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestJourneyKnowsTheStart(t *testing.T) {
	r := parse(t, `{"annotations":[{"key":"initTime","value":12},{"key":"whiskaway","value":{"cold":true,"stations":{"function":1}}}]}`)
	if j, err := r.journey(); err != nil || !j.Cold || j.Start != 12 {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestJourneyIsMissing(t *testing.T) {
	for _, text := range []string{`{}`, `{"annotations":[{"key":"whiskaway","value":{"server":"llm-box"}}]}`} {
		if _, err := parse(t, text).journey(); !errors.Is(err, errNoJourney) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFailure(t *testing.T) {
	for text, want := range map[string]string{
		`{"response":{"success":true,"status":"success"}}`:                                                     "",
		`{"response":{"status":"application error","result":{"error":"no prompt"}}}`:                           "application error: no prompt",
		`{"response":{"status":"action developer error","result":{"error":{"code":7}}}}`:                       `action developer error: {"code":7}`,
		`{"response":{"status":"whisk internal error","result":{"other":1}}}`:                                  `whisk internal error: {"other":1}`,
		`{"response":{"status":"action developer error","result":{"error":"pip could not install: no such"}}}`: "action developer error: pip could not install: no such",
	} {
		got := ""
		if err := parse(t, text).failure(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestLogLine(t *testing.T) {
	for line, want := range map[string]string{
		"2026-01-02T03:04:05.678901234Z stdout: greeting Ada": "stdout: greeting Ada",
		"2026-01-02T03:04:05.6Z stderr: ":                     "stderr:",
		"The log was cut":                                     "The log was cut",
		"":                                                    "",
	} {
		if got := logLine(line); got != want {
			t.Errorf("logLine(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{200, `{"activationId":"a1"}`, ""},
		{502, `{"activationId":"a1","response":{"status":"application error"}}`, ""},
		{404, `{"error":"The requested resource does not exist.","code":"x"}`, "404 Not Found: The requested resource does not exist."},
		{502, `bad gateway of a proxy`, "502 Bad Gateway: bad gateway of a proxy"},
	} {
		_, err := parseRecord(c.status, []byte(c.body))
		if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%d %s: %v, want %q", c.status, c.body, err, c.want)
		}
	}
}
