package docker

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// A platform is `whiskaway standalone --driver docker` in a process of its own.
type platform struct {
	*harness.Process
	t              *testing.T
	dir, api, auth string
}

// ownImages are the flags that name the images which the tests have built.
var ownImages = []string{"--image", "python:3=" + imageName("whiskaway-python"), "--image", "nodejs:20=" + imageName("whiskaway-nodejs"),
	"--image", "native=" + imageName("whiskaway-runtime")}

func startPlatform(t *testing.T, dir string, flags ...string) *platform {
	t.Helper()
	needImages(t)
	p := launch(t, dir, flags...)
	p.api = p.WaitFor(`platform listening on (\S+)`)
	props, err := os.ReadFile(filepath.Join(dir, "wskprops"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(props)) {
		if auth, ok := strings.CutPrefix(line, "AUTH="); ok {
			p.auth = strings.TrimSpace(auth)
		}
	}
	return p
}

// launch starts a platform that may not come up.
func launch(t *testing.T, dir string, flags ...string) *platform {
	t.Helper()
	line := slices.Concat([]string{binary(t), "standalone", "--driver", "docker", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0",
		"--data", dir, "--log-level", "debug"}, ownImages, flags)
	return &platform{Process: harness.Start(t, line, nil), t: t, dir: dir}
}

// binary is the one that is in the images.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", "docker", "root", "bin", "whiskaway"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *platform) call(method, path, body string) (int, []byte) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.api+"/api/v1/namespaces/_/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	user, key, _ := strings.Cut(p.auth, ":")
	req.SetBasicAuth(user, key)
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		p.t.Errorf("%s %s: %v", method, path, err)
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Errorf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, b
}

// An exe is what an action executes.
type exe struct {
	Kind  string `json:"kind"`
	Image string `json:"image,omitempty"`
	Code  string `json:"code,omitempty"`
	Main  string `json:"main,omitempty"`
}

// put creates or updates an action; limits is JSON, or empty.
func (p *platform) put(name string, e exe, limits string) {
	p.t.Helper()
	if status, answer := p.tryPut(name, e, limits); status != 200 {
		p.t.Fatalf("creating %s: %d %s", name, status, answer)
	}
}

func (p *platform) tryPut(name string, e exe, limits string) (int, []byte) {
	p.t.Helper()
	body := map[string]any{"exec": e}
	if limits != "" {
		body["limits"] = json.RawMessage(limits)
	}
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.call("PUT", "actions/"+name+"?overwrite=true", string(b))
}

// An activation is a run's record.
type activation struct {
	ActivationID string `json:"activationId"`
	StatusCode   int
	Response     struct {
		Status  string
		Success bool
		Result  json.RawMessage
	}
	Logs        []string
	Annotations []struct {
		Key   string
		Value any
	}
}

func (p *platform) invoke(name, input string) activation {
	p.t.Helper()
	status, b := p.call("POST", "actions/"+name+"?blocking=true", input)
	var a activation
	if err := json.Unmarshal(b, &a); err != nil || a.ActivationID == "" {
		p.t.Errorf("invoking %s: no record: %d %s", name, status, b)
	}
	if status == 202 {
		return p.record(a.ActivationID)
	}
	return a
}

// record waits for an activation's record.
func (p *platform) record(id string) (a activation) {
	p.t.Helper()
	eventually(p.t, "the record of "+id, func() bool {
		status, b := p.call("GET", "activations/"+id, "")
		return status == 200 && json.Unmarshal(b, &a) == nil
	})
	return a
}

// begin invokes an action without waiting for it, and returns the activation's id.
func (p *platform) begin(name, input string) string {
	p.t.Helper()
	status, b := p.call("POST", "actions/"+name, input)
	var a activation
	if err := json.Unmarshal(b, &a); err != nil || status != 202 {
		p.t.Fatalf("invoking %s: %d %s", name, status, b)
	}
	return a.ActivationID
}

// result runs an action, which must succeed.
func (p *platform) result(name, input string) string {
	p.t.Helper()
	a := p.invoke(name, input)
	if !a.Response.Success {
		p.t.Errorf("%s: %s %s\n%s", name, a.Response.Status, a.Response.Result, strings.Join(a.Logs, "\n"))
	}
	return string(bytes.TrimSpace(a.Response.Result))
}

// fails runs an action, which must end with that status code and an error that contains want.
func (p *platform) fails(name, input string, code int, want string) activation {
	p.t.Helper()
	a := p.invoke(name, input)
	var result struct{ Error string }
	if err := json.Unmarshal(a.Response.Result, &result); err != nil || a.StatusCode != code || !strings.Contains(result.Error, want) {
		p.t.Errorf("%s: %d %s, want %d with %q\n%s", name, a.StatusCode, a.Response.Result, code, want, strings.Join(a.Logs, "\n"))
	}
	return a
}

// said are the lines of an activation's logs on a stream, without their times.
func (a activation) said(stream string) (lines []string) {
	for _, line := range a.Logs {
		if _, text, found := strings.Cut(line, " "+stream+": "); found {
			lines = append(lines, text)
		}
	}
	return lines
}

// ours lists the containers of this platform, by what the engine shows of them.
func (p *platform) ours(format string, filters ...string) []string {
	p.t.Helper()
	id, err := os.ReadFile(filepath.Join(p.dir, "platform.id"))
	if err != nil {
		p.t.Fatal(err)
	}
	args := []string{"ps", "--all", "--no-trunc", "--format", format, "--filter", "label=whiskaway.platform=" + strings.TrimSpace(string(id))}
	for _, filter := range filters {
		args = append(args, "--filter", filter)
	}
	out := docker(p.t, args...)
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}
