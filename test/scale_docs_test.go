package test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The script for a provider in docs/scaling.md, as it stands there but for addresses and paths, orders a machine that
// joins with the token, lists it and ends it. Takes less than a second.
func TestTheScriptOfTheDocsOrdersAServerWithFakeProvider(t *testing.T) {
	for _, program := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the script needs %s: %v", program, err)
		}
	}
	provider := &fakeProvider{t: t}
	api := httptest.NewServer(provider)
	defer api.Close()
	call := docsScript(t, api.URL)

	call("start", "gpu&region=eu", "1")
	name, userData := provider.machine()
	if name == "" {
		t.Fatal("no machine was ordered")
	}
	for _, want := range []string{
		"<<END\nthe-join-token\nEND\n", "--balancer https://balancer.example.com:3234", "--name " + name + " ", "--label gpu --label region=eu\n",
	} {
		if !strings.Contains(userData, want) {
			t.Errorf("the machine's first start lacks %q:\n%s", want, userData)
		}
	}
	var listed struct{ Server, Label, State string }
	if err := json.Unmarshal([]byte(call("list")), &listed); err != nil || listed.Server != name || listed.State != "up" {
		t.Errorf("listed %+v: %v", listed, err)
	}
	call("stop", "another")
	if still, _ := provider.machine(); still != name {
		t.Error("the end of another machine ended this one")
	}
	call("stop", name)
	if still, _ := provider.machine(); still != "" || call("list") != "" {
		t.Error("the machine was not ended")
	}
}

// docsScript returns what calls the script of the docs.
func docsScript(t *testing.T, api string) func(args ...string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(page), "```sh\n#!/bin/sh\n")
	script, _, ended := strings.Cut(script, "\n```\n")
	if !found || !ended {
		t.Fatal("docs/scaling.md has no script")
	}
	dir := t.TempDir()
	header, token := filepath.Join(dir, "header"), filepath.Join(dir, "join")
	script = strings.NewReplacer("https://api.PROVIDER.example/v1", api, "/etc/whiskaway/provider.header", header).Replace(script)
	for path, text := range map[string]string{header: "Authorization: Bearer KEY\n", token: "the-join-token\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "gpu.sh"}, args...)...)
		cmd.Env = append(os.Environ(), "WHISKAWAY_BALANCER=https://balancer.example.com:3234", "WHISKAWAY_JOIN_TOKEN_FILE="+token, "no_proxy=*")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said.String())
		}
		return string(out)
	}
}

// A fakeProvider rents one machine, which does nothing.
type fakeProvider struct {
	t *testing.T

	mu             sync.Mutex
	name, userData string // "": no machine
}

func (p *fakeProvider) machine() (name, userData string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.name, p.userData
}

func (p *fakeProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer KEY" {
		p.t.Errorf("%s %s without the API key", r.Method, r.URL)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "POST /instances":
		var order struct {
			Name     string
			UserData string `json:"user_data"`
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &order)
		}
		if err != nil {
			p.t.Errorf("the order %q: %v", body, err)
		}
		p.name, p.userData = order.Name, order.UserData
	case "GET /instances":
		list := []map[string]string{}
		if p.name != "" {
			list = append(list, map[string]string{"id": "i-1", "name": p.name, "status": "running", "created": "2026-01-02T15:04:05Z"})
		}
		json.NewEncoder(w).Encode(list)
	case "DELETE /instances/i-1":
		p.name = ""
	default:
		p.t.Errorf("%s %s is no call of this provider", r.Method, r.URL)
	}
}
