package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A composed is a record of a composition or of a part of one, as it came.
type composed struct {
	ActivationID string `json:"activationId"`
	Cause, Name  string
	Namespace    string
	Subject      string
	Start, End   int64
	Duration     int64
	StatusCode   int
	Version      string
	Response     struct {
		Status  string
		Success bool
		Result  json.RawMessage
	}
	Logs        []string
	Annotations []struct {
		Key   string
		Value json.RawMessage
	}
}

// note returns an annotation as JSON; empty: there is none.
func (r composed) note(key string) string {
	for _, a := range r.Annotations {
		if a.Key == key {
			return string(a.Value)
		}
	}
	return ""
}

// sequence creates one of these actions.
func (s *standalone) sequence(name string, components ...string) {
	s.t.Helper()
	s.ask(200, "PUT", restNS+"actions/"+name+"?overwrite=true", sequenceBody(components...), nil)
}

func sequenceBody(components ...string) string {
	b, _ := json.Marshal(map[string]any{"exec": map[string]any{"kind": "sequence", "components": append([]string{}, components...)}})
	return string(b)
}

// compose invokes an action, blocking, and returns its record.
func (s *standalone) compose(status int, name, args string) composed {
	s.t.Helper()
	var r composed
	s.ask(status, "POST", restNS+"actions/"+name+"?blocking=true", args, &r)
	if r.ActivationID == "" {
		s.t.Fatalf("%s: no record", name)
	}
	return r
}

// recordOf returns the record with that id.
func (s *standalone) recordOf(id string) composed {
	s.t.Helper()
	var r composed
	eventually(s.t, "the record "+id, func() bool {
		status, b := s.call("GET", restNS+"activations/"+id, "")
		return status == 200 && json.Unmarshal(b, &r) == nil
	})
	return r
}

// parts returns the records of a composition's parts.
func (s *standalone) parts(r composed) (list []composed) {
	s.t.Helper()
	for _, id := range r.Logs {
		list = append(list, s.recordOf(id))
	}
	return list
}

func names(list []composed) string {
	var all []string
	for _, r := range list {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

// checkComposition compares a composition's record with those of its parts, and
// returns these.
func (s *standalone) checkComposition(r composed) []composed {
	s.t.Helper()
	list := s.parts(r)
	var sum int64
	for _, p := range list {
		sum += p.Duration
		if p.Cause != r.ActivationID || p.note("causedBy") != `"sequence"` || p.Start < r.Start || p.End > r.End || p.Namespace != r.Namespace {
			s.t.Errorf("a part of %s: %+v", r.Name, p)
		}
	}
	if r.Duration != sum || r.note("kind") != `"sequence"` {
		s.t.Errorf("%s: duration %d, the parts' %d; %+v", r.Name, r.Duration, sum, r)
	}
	if len(list) > 0 && !strings.HasPrefix(r.note("limits"), `{"timeout":`) {
		s.t.Errorf("%s: limits %s", r.Name, r.note("limits"))
	}
	return list
}

// refused asks for what must fail, and compares the words.
func (s *standalone) refused(status int, want, method, path, body string) {
	s.t.Helper()
	var failure struct{ Error, Code string }
	s.ask(status, method, path, body, &failure)
	if failure.Error != want || failure.Code == "" {
		s.t.Errorf("%s %s: %q, want %q", method, path, failure.Error, want)
	}
}

func wantResult(t *testing.T, r composed, status int, want string) {
	t.Helper()
	if r.StatusCode != status || string(r.Response.Result) != want {
		t.Errorf("%s: status %d, result %s; want %d, %s", r.Name, r.StatusCode, r.Response.Result, status, want)
	}
}

// step is a Python action that adds its name to the path that it was given.
func step(name string) action {
	return action{kind: "python:3", code: fmt.Sprintf("def main(a):\n    return dict(a, path=a.get('path', '') + '%s')\n", name)}
}
