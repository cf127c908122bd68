package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// code is the function that is measured: what a platform's function does least.
const code = "def main(args):\n    return args\n"

// A setupKind is how to start one setup.
type setupKind struct {
	name  string
	start func(ctx context.Context, l *lab, s *setup) error
}

// setupKinds are all there is to measure, the floors first.
var setupKinds = []setupKind{
	{"net/http echo", startEcho},
	{forwarderName, startForwarder},
	{"pipe to Python", startPipes},
	{localName, startLocal},
	{"local mode, one process", startLocalAlone},
	{"client -> server", startClientServer},
	{"client -> balancer -> server", way{}.start},
	{"the same by TLS", way{tls: true}.start},
	{"the same, server dialled", way{dialled: true}.start},
	{"the same, dialled, by TLS", way{dialled: true, tls: true}.start},
	{platformName, platform{"main"}.start},
	{"whole platform", platform{"main@local"}.start},
}

const (
	// forwarderName is the setup that the ratios compare with.
	forwarderName = "forwarder -> echo"
	// localName is a runtime that is asked as platformName's invoker asks it: what the second takes
	// longer is the platform's own.
	localName    = "local mode"
	platformName = "REST API, local action"
)

// runBody is a /run body as the platform sends it, for all setups that take
// one. Its deadline is far enough for any bench.
func runBody() string {
	deadline := time.Now().Add(24 * time.Hour).UnixMilli()
	return fmt.Sprintf(`{"value":{"id":%s},"namespace":"guest","action_name":"/guest/bench","action_version":"0.0.1",`+
		`"activation_id":"0123456789abcdef0123456789abcdef","transaction_id":"0123456789abcdef","deadline":"%d"}`, idMark, deadline)
}

// asking makes callers that post runBody to a URL.
func (s *setup) asking(url, path string) {
	body := runBody()
	s.open = func() (caller, error) { return dial(strings.TrimPrefix(url, "http://"), path, "", body) }
}

func startEcho(ctx context.Context, l *lab, s *setup) error {
	url, err := l.startEchoPart(ctx, s)
	s.asking(url, "/")
	return err
}

func (l *lab) startEchoPart(ctx context.Context, s *setup) (string, error) {
	p, err := l.startPart(s, "echo", "echo")
	if err != nil {
		return "", err
	}
	return p.await(ctx, "listening on ")
}

func startForwarder(ctx context.Context, l *lab, s *setup) error {
	target, err := l.startEchoPart(ctx, s)
	if err != nil {
		return err
	}
	p, err := l.startPart(s, "forwarder", "forward "+target)
	if err != nil {
		return err
	}
	url, err := p.await(ctx, "listening on ")
	s.asking(url, "/")
	return err
}

// startLocal announces parallel runs, as a platform does that sends them.
func startLocal(ctx context.Context, l *lab, s *setup) error {
	return l.startRuntime(ctx, s, "main", "WHISKAWAY_KIND=python:3", "__OW_ALLOW_CONCURRENT=true")
}

// startLocalAlone announces nothing: all runs wait for one process.
func startLocalAlone(ctx context.Context, l *lab, s *setup) error {
	return l.startRuntime(ctx, s, "main", "WHISKAWAY_KIND=python:3")
}

// data returns a data directory's path.
func (l *lab) data(name string) string { return filepath.Join(l.dir, "data-"+name) }

func readToken(data, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(data, "tokens", name))
	if err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// startRuntime starts a runtime and initialises it.
func (l *lab) startRuntime(ctx context.Context, s *setup, main string, env ...string) error {
	ready, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer ready.Close()
	c := l.whiskaway("runtime", "--listen", "127.0.0.1:0")
	// A function's logs end with guard lines, which nobody reads here: the
	// floors have none. The whole platform reads them.
	c.quiet, c.fd3 = true, tell
	c.env = append(env, "WHISKAWAY_READY_FD=3")
	_, err = l.startProfiled(s, c)
	tell.Close()
	if err != nil {
		return err
	}
	ready.SetReadDeadline(time.Now().Add(time.Minute))
	addr, err := io.ReadAll(ready)
	if err != nil || len(addr) == 0 {
		return fmt.Errorf("the runtime did not get ready (%v); to see why, run: %s runtime --listen 127.0.0.1:0", err, l.binary)
	}
	url := "http://" + strings.TrimSpace(string(addr))
	s.asking(url, "/run")
	return initRuntime(ctx, url, main)
}

func initRuntime(ctx context.Context, url, main string) error {
	body, err := json.Marshal(map[string]any{"value": map[string]any{
		"name": "bench", "main": main, "code": code, "binary": false,
		"env": map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/bench"}}})
	if err != nil {
		return fmt.Errorf("making the body of /init: %w", err)
	}
	return send(ctx, http.MethodPost, url+"/init", "", body)
}

// A platform is a whole platform in one process, asked through the REST API for an
// action with this main: with "@" in it, it runs on a server.
type platform struct{ main string }

// start starts the platform and creates the action.
func (p platform) start(ctx context.Context, l *lab, s *setup) error {
	data := l.data("standalone " + p.main)
	process, err := l.startWhiskaway(s, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", data)
	if err != nil {
		return err
	}
	url, err := process.await(ctx, "platform listening on ")
	if err != nil {
		return err
	}
	auth, err := readAuth(data)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"exec": map[string]any{"kind": "python:3", "code": code, "main": p.main}})
	if err != nil {
		return fmt.Errorf("making the action: %w", err)
	}
	const path = "/api/v1/namespaces/_/actions/bench"
	if err := send(ctx, http.MethodPut, url+path+"?overwrite=true", auth, body); err != nil {
		return err
	}
	s.open = func() (caller, error) {
		return dial(strings.TrimPrefix(url, "http://"), path+"?blocking=true&result=true", "Authorization: "+auth+"\r\n", `{"id":`+idMark+`}`)
	}
	return nil
}

// readAuth returns the header for the key in the platform's properties.
func readAuth(data string) (string, error) {
	text, err := os.ReadFile(filepath.Join(data, "wskprops"))
	if err != nil {
		return "", fmt.Errorf("reading the platform's properties: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if key, found := strings.CutPrefix(strings.TrimSpace(line), "AUTH="); found {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(key)), nil
		}
	}
	return "", fmt.Errorf("the platform's properties have no AUTH")
}

// send makes one request, which must succeed.
func send(ctx context.Context, method, url, auth string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return nil
}
