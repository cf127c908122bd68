package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// These tests ask the REST API as wsk does: its URLs and query strings, and
// structs with the fields of its Go client, decoded strictly in their types.

type wskKeyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

type wskEntity struct {
	Namespace, Name, Version string
	Publish                  *bool
	Updated                  int64
	Annotations, Parameters  []wskKeyValue
}

type wskAction struct {
	wskEntity
	Exec *struct {
		Kind, Main string
		Code       *string
		Binary     *bool
	}
	Limits *struct{ Timeout, Memory, Logs, Concurrency *int }
}

type wskRule struct {
	wskEntity
	Status          string
	Trigger, Action struct{ Path, Name string }
}

type wskTrigger struct {
	wskEntity
	ActivationID string `json:"activationId"`
	Rules        map[string]any
}

type wskActivation struct {
	wskEntity
	Subject      string
	ActivationID string `json:"activationId"`
	Cause        string
	Start, End   int64
	Duration     int64
	StatusCode   int
	Response     struct {
		Status  string
		Success bool
		Result  any
	}
	Logs []string
}

// ask calls the API, expects the status, and decodes the answer into v.
func (s *standalone) ask(status int, method, path, body string, v any) {
	s.t.Helper()
	got, b := s.call(method, path, body)
	if got != status {
		s.t.Fatalf("%s %s: %d %.300s, want %d", method, path, got, b, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(b, v); err != nil {
		s.t.Fatalf("%s %s: %v in %.300s", method, path, err, b)
	}
}

func keys(list []wskKeyValue) string {
	var names []string
	for _, kv := range list {
		names = append(names, fmt.Sprintf("%s=%v", kv.Key, kv.Value))
	}
	return strings.Join(names, " ")
}

const restNS = "/namespaces/_/"

func TestRestActionsAsWskAsks(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	path := restNS + "actions/hello"
	var a wskAction
	s.ask(200, "PUT", path+"?overwrite=false", `{"namespace":"_","name":"hello","exec":{"kind":"python:default","code":"def main(a): return a","binary":false},
		"annotations":[{"key":"web-export","value":false},{"key":"note","value":1}],"parameters":[{"key":"p","value":1},{"key":"q","value":2}]}`, &a)
	if a.Namespace != "guest" || a.Name != "hello" || a.Version != "0.0.1" || a.Publish == nil || a.Updated == 0 || a.Exec.Kind != "python:3" || *a.Limits.Timeout != 60000 {
		t.Errorf("created: %+v %+v", a, a.Exec)
	}
	if got, want := keys(a.Annotations), "web-export=false note=1 provide-api-key=false exec=python:3 binary=false"; got != want {
		t.Errorf("annotations of the new action: %s, want %s", got, want)
	}
	// An update keeps the annotations that it does not name, and the parameters if it names none.
	a = wskAction{}
	s.ask(200, "PUT", path+"?overwrite=true", `{"namespace":"_","name":"hello","annotations":[{"key":"note","value":2}],"delAnnotations":["web-export"]}`, &a)
	if got, want := keys(a.Annotations), "provide-api-key=false note=2 exec=python:3 binary=false"; got != want || a.Version != "0.0.2" || len(a.Parameters) != 2 {
		t.Errorf("updated: %s, want %s; %+v", got, want, a)
	}
	a = wskAction{}
	s.ask(200, "PUT", path+"?overwrite=true", `{"exec":{"kind":"nodejs:default","code":"function main(a) { return a }"},"parameters":[{"key":"r","value":3}]}`, &a)
	if got := keys(a.Annotations) + " " + keys(a.Parameters); got != "provide-api-key=false note=2 exec=nodejs:20 binary=false r=3" {
		t.Errorf("updated again: %s", got)
	}
	a = wskAction{}
	s.ask(200, "GET", path+"?code=false", "", &a)
	if a.Exec.Code != nil {
		t.Error("code=false shows code")
	}
	var list []wskAction
	s.ask(200, "GET", restNS+"actions?limit=30&skip=0", "", &list)
	if len(list) != 1 || list[0].Name != "hello" || list[0].Exec.Binary == nil || list[0].Limits == nil || keys(list[0].Annotations) == "" {
		t.Errorf("the list: %+v", list)
	}
	var failure struct{ Error, Code string } // both strings
	for _, c := range []struct {
		status             int
		method, path, body string
		want               string
	}{
		{409, "PUT", "actions/hello?overwrite=false", `{"exec":{"kind":"python:3","code":"x"}}`, "resource already exists"},
		{404, "GET", "actions/nobody", "", "does not exist"},
		{400, "PUT", "actions/a%20b%21", `{}`, "illegal characters"},
		{413, "PUT", "actions/" + strings.Repeat("n", 257), `{}`, "Entity name longer than allowed: 257 > 256."},
		{400, "PUT", "actions/x", `{"exec":{"kind":"cobol:1","code":"x"}}`, "kind 'cobol:1' not in Set(python:3, nodejs:20, native)"},
		{400, "PUT", "actions/x", `{"exec":{"kind":"python:3","code":7}}`, "'exec.code' must not be a JSON number"},
		{400, "PUT", "actions/x", `{"parameters":{"a":1}}`, "'parameters' must not be a JSON object"},
		{400, "PUT", "actions/x", `[]`, "the body must be an object, not a JSON array"},
		{400, "POST", "actions/hello", "{\"a\":\"\xff\"}", "the body is not UTF-8"},
		{400, "POST", "actions/hello?blocking=maybe", `{}`, "'maybe' is not a valid Boolean value"},
	} {
		s.ask(c.status, c.method, restNS+c.path, c.body, &failure)
		if !strings.Contains(failure.Error, c.want) || strings.Contains(failure.Error, "Go ") || failure.Code == "" {
			t.Errorf("%s %s: %+v, want %q", c.method, c.path, failure, c.want)
		}
	}
	s.ask(200, "DELETE", path, "", &a)
	s.ask(404, "DELETE", path, "", &failure)
}

func TestRestInvocationsAsWskAsks(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("echo", action{kind: "python:3", code: "def main(a):\n    print('seen')\n    return a\n", parameters: `[{"key":"p","value":"default"},{"key":"q","value":[1.50]}]`})
	s.put("fails", action{kind: "python:3", code: "def main(a): return {'error': {'why': 1}}"})
	s.put("bytes", action{kind: "native", code: "#!/bin/sh\necho '{\"ok\":true}' >&3\nwhile read -r line; do printf '{\"a\":\"\\377\"}\\n' >&3; done\n"})
	post := restNS + "actions/"
	var rec wskActivation
	s.ask(200, "POST", post+"echo?blocking=true&result=false", `{"p":"mine"}`, &rec)
	if got := fmt.Sprint(rec.Response.Result); got != "map[p:mine q:[1.5]]" || rec.Start == 0 || rec.End < rec.Start || !rec.Response.Success || rec.StatusCode != 0 || len(rec.Logs) != 1 {
		t.Errorf("the record: %+v", rec)
	}
	var only map[string]any
	s.ask(200, "POST", post+"echo?blocking=yes&result=1", "", &only)
	if fmt.Sprint(only) != "map[p:default q:[1.5]]" {
		t.Errorf("the result: %v", only)
	}
	s.ask(502, "POST", post+"fails?blocking=true&result=true", `{}`, &only)
	s.ask(502, "POST", post+"fails?blocking=true&result=false", `{}`, &rec)
	if rec.StatusCode != 1 || rec.Response.Status != "application error" || rec.Response.Success {
		t.Errorf("an application error: %+v", rec)
	}
	if _, b := s.call("POST", post+"bytes?blocking=true&result=true", `{}`); string(b) != "{\"a\":\"\uFFFD\"}" {
		t.Errorf("a result that is not UTF-8 became %q", b)
	}
	var accepted struct {
		ActivationID string `json:"activationId"`
	}
	s.ask(202, "POST", post+"echo?blocking=false&result=false", `{}`, &accepted)
	eventually(t, "the record of a non-blocking run", func() bool {
		status, _ := s.call("GET", restNS+"activations/"+accepted.ActivationID, "")
		return status == 200
	})
	var logs struct{ Logs []string }
	s.ask(200, "GET", restNS+"activations/"+accepted.ActivationID+"/logs", "", &logs)
	if len(logs.Logs) != 1 || !strings.HasSuffix(logs.Logs[0], "stdout: seen") {
		t.Errorf("logs: %q", logs.Logs)
	}
	var list []wskActivation
	s.ask(200, "GET", restNS+"activations?limit=0&skip=0&since=0&upto=0&docs=true", "", &list)
	if len(list) != 6 || list[0].ActivationID != accepted.ActivationID || len(list[0].Logs) != 1 {
		t.Errorf("the list: %+v", list)
	}
}

func TestRestTriggersAndRulesAsWskAsks(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("echo", action{kind: "python:3", code: "def main(a): return a"})
	var tr wskTrigger
	s.ask(200, "PUT", restNS+"triggers/t?overwrite=false", `{"name":"t","parameters":[{"key":"p","value":1}]}`, &tr)
	if status, b := s.call("POST", restNS+"triggers/t", `{}`); status != 204 || len(b) != 0 {
		t.Errorf("no rule: %d %s", status, b)
	}
	var r wskRule
	s.ask(200, "PUT", restNS+"rules/r?overwrite=false", `{"name":"r","status":"","trigger":"/_/t","action":"/_/echo"}`, &r)
	if r.Status != "active" || r.Trigger.Path != "guest" || r.Trigger.Name != "t" || r.Action.Name != "echo" || r.Action.Path != "guest" {
		t.Errorf("the rule: %+v", r)
	}
	s.ask(200, "POST", restNS+"rules/r", `{"status":"inactive","trigger":null,"action":null}`, nil)
	if status, _ := s.call("POST", restNS+"triggers/t", `{}`); status != 204 {
		t.Errorf("an inactive rule: %d", status)
	}
	s.ask(200, "POST", restNS+"rules/r", `{"status":"active","trigger":null,"action":null}`, nil)
	s.ask(202, "POST", restNS+"triggers/t", `{"q":2}`, &tr)
	var rec wskActivation
	s.ask(200, "GET", restNS+"activations/"+tr.ActivationID, "", &rec)
	var line struct {
		ActivationID string `json:"activationId"`
		Success      bool
	}
	if len(rec.Logs) != 1 || json.Unmarshal([]byte(rec.Logs[0]), &line) != nil || !line.Success {
		t.Fatalf("the trigger's record: %+v", rec)
	}
	eventually(t, "the fired action's record", func() bool {
		status, b := s.call("GET", restNS+"activations/"+line.ActivationID+"/result", "")
		return status == 200 && strings.Contains(string(b), `{"p":1,"q":2}`)
	})
	tr = wskTrigger{}
	s.ask(200, "GET", restNS+"triggers/t", "", &tr)
	if len(tr.Rules) != 1 || tr.Rules["guest/r"] == nil {
		t.Errorf("the trigger: %+v", tr)
	}
	for _, collection := range []string{"packages", "actions", "triggers", "rules"} { // wsk list
		var list []wskEntity
		s.ask(200, "GET", restNS+collection+"?limit=200&skip=0", "", &list)
	}
	var names []string
	s.ask(200, "GET", "/namespaces", "", &names)
	var info struct{ Build, BuildNo string }
	s.ask(200, "GET", "", "", &info)
	if fmt.Sprint(names) != "[guest]" || !strings.HasPrefix(info.Build, "20") {
		t.Errorf("namespaces %v, build %q", names, info.Build)
	}
}

// A client that sends everything before it looks for an answer learns that it
// was too much.
func TestRestTooLargeIsSaidToWhoSendsOnRegardless(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	for _, length := range []int64{50 << 20, -1} { // announced, and chunked
		body := io.LimitReader(endless{}, 50<<20)
		req, err := http.NewRequest("POST", s.api+"/api/v1"+restNS+"actions/x?blocking=true", body)
		if err != nil {
			t.Fatal(err)
		}
		user, key, _ := strings.Cut(s.auth, ":")
		req.SetBasicAuth(user, key)
		req.ContentLength = length
		resp, err := stubborn(req)
		if err != nil {
			t.Errorf("length %d: %v", length, err)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 || !strings.Contains(string(b), "Request larger than allowed") {
			t.Errorf("length %d: %d %s", length, resp.StatusCode, b)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// stubborn writes the whole request before it reads the answer, as Python's
// http.client does; a write that fails is the end.
func stubborn(req *http.Request) (*http.Response, error) {
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		return nil, err
	}
	if err := req.Write(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("while sending: %w", err)
	}
	return http.ReadResponse(bufio.NewReader(conn), req)
}
