package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A standalone is a whole platform in a process of its own.
type standalone struct {
	*process
	dir, api, balancer, auth string
}

func startStandalone(t *testing.T, dir string, args ...string) *standalone {
	t.Helper()
	args = append([]string{"standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir}, args...)
	s := &standalone{process: start(t, nil, nil, args...), dir: dir}
	s.api = s.waitFor(`platform listening on (\S+)`)
	s.balancer = s.waitFor(`balancer listening on (\S+)`)
	s.auth = prop(t, filepath.Join(dir, "wskprops"), "AUTH")
	return s
}

func prop(t *testing.T, file, name string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return ""
}

func (s *standalone) token(name string) string {
	s.t.Helper()
	return readToken(s.t, s.dir, name)
}

func readToken(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "tokens", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// startServer starts a separate server that joins the platform's balancer.
func (s *standalone) startServer(label, dir string, args ...string) *process {
	s.t.Helper()
	args = append([]string{"server", "--balancer", s.balancer, "--token", s.token("join"), "--label", label, "--data", dir, "--name", label + "-box"}, args...)
	p := start(s.t, nil, nil, args...)
	p.waitFor(`joined`)
	return p
}

// call asks the REST API, and returns the status and the raw answer.
func (s *standalone) call(method, path, body string) (int, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.api+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	user, key, _ := strings.Cut(s.auth, ":")
	req.SetBasicAuth(user, key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	return resp.StatusCode, b
}

// An action is what put creates.
type action struct {
	kind, main, code string
	zip              []byte // instead of code
	timeout          int    // ms; 0: the default
	parameters       string // JSON list
	annotations      string // JSON list
}

func (s *standalone) put(name string, a action) {
	s.t.Helper()
	exec := map[string]any{"kind": a.kind, "code": a.code, "main": a.main}
	if a.main == "" {
		delete(exec, "main")
	}
	if a.zip != nil {
		exec["code"], exec["binary"] = base64.StdEncoding.EncodeToString(a.zip), true
	}
	body := map[string]any{"exec": exec}
	if a.timeout > 0 {
		body["limits"] = map[string]any{"timeout": a.timeout}
	}
	if a.parameters != "" {
		body["parameters"] = json.RawMessage(a.parameters)
	}
	if a.annotations != "" {
		body["annotations"] = json.RawMessage(a.annotations)
	}
	b, _ := json.Marshal(body)
	if status, answer := s.call("PUT", "/namespaces/_/actions/"+name+"?overwrite=true", string(b)); status != 200 {
		s.t.Fatalf("creating %s: %d %s", name, status, answer)
	}
}

// An activation is the part of the record that tests look at.
type activation struct {
	ActivationID string `json:"activationId"`
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
	StatusCode int
}

// invoke runs the action, blocking, and returns its record.
func (s *standalone) invoke(name, input string) activation {
	s.t.Helper()
	_, b := s.call("POST", "/namespaces/_/actions/"+name+"?blocking=true", input)
	var a activation
	if err := json.Unmarshal(b, &a); err != nil || a.ActivationID == "" {
		s.t.Fatalf("invoking %s: no record: %s", name, b)
	}
	return a
}

// invokeBeside is invoke beside the test. The channel is closed without a record
// when there was none.
func (s *standalone) invokeBeside(name, input string) <-chan activation {
	answer := make(chan activation, 1)
	go func() {
		defer close(answer) // also when invoke ends this goroutine
		answer <- s.invoke(name, input)
	}()
	return answer
}

// result runs the action and returns its result, which must be a success.
func (s *standalone) result(name, input string) string {
	s.t.Helper()
	a := s.invoke(name, input)
	if !a.Response.Success {
		s.t.Fatalf("%s: %s %s\n%s", name, a.Response.Status, a.Response.Result, strings.Join(a.Logs, "\n"))
	}
	return string(bytes.TrimSpace(a.Response.Result))
}
