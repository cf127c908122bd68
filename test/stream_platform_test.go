package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// stream invokes an action as curl -N does.
func (s *standalone) stream(name, accept, args string, query ...string) *reading {
	s.t.Helper()
	how := strings.Join(append(query, "blocking=true", "result=true"), "&")
	return read(s.t, s.api+"/api/v1/namespaces/_/actions/"+name+"?"+how, accept, args,
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.auth)), "Content-Type", "application/json")
}

// recorded fetches an activation that is over.
func (s *standalone) recorded(id string) (statusCode int, result string, logs []string) {
	s.t.Helper()
	status, b := s.call("GET", "/namespaces/_/activations/"+id, "")
	var a struct {
		StatusCode int
		Response   struct{ Result json.RawMessage }
		Logs       []string
	}
	if err := json.Unmarshal(b, &a); err != nil || status != 200 {
		s.t.Fatalf("%d %s", status, b)
	}
	return a.StatusCode, string(a.Response.Result), a.Logs
}

// The platform of its own passes items on as they come, and records the run as ever.
func TestPlatformStreams(t *testing.T) {
	t.Parallel()
	share := shared(t)
	s := startStandalone(t, t.TempDir(), "--share", share)
	s.startServer("llm", t.TempDir(), "--share", share)
	for _, main := range []string{"main", "main@llm"} {
		for _, c := range streamers {
			t.Run(main+" "+c.name, func(t *testing.T) {
				name := strings.NewReplacer("@", "-", " ", "-").Replace(main + c.name)
				s.put(name, action{kind: c.kind, main: main, code: c.code})
				dir := openDir(t, share)
				r := s.stream(name, "text/event-stream", `{"dir":"`+dir+`","step":true,"last":3}`)
				id := r.resp.Header.Get("X-Openwhisk-Activation-Id")
				for n := 1; n <= 3; n++ {
					r.item(n)
					if made, _ := os.ReadFile(dir + "/made"); string(made) != fmt.Sprint(n) {
						t.Errorf("%s items are made when item %d comes", made, n)
					}
					os.WriteFile(fmt.Sprint(dir, "/", n), nil, 0o666)
				}
				r.wantEnd("ok", 3)
				if code, result, _ := s.recorded(id); code != 0 || !strings.HasPrefix(result, `{"items":[{"n":1,`) {
					t.Errorf("the record says %d %s", code, result)
				}
				os.Remove(dir + "/closed")

				r = s.stream(name, "text/event-stream", `{"dir":"`+dir+`","size":1000}`)
				id = r.resp.Header.Get("X-Openwhisk-Activation-Id")
				worker := r.item(1)
				r.leave()
				eventually(t, "the generator is closed", func() bool { return exists(dir + "/closed") })
				eventually(t, "the activation is recorded", func() bool {
					status, _ := s.call("GET", "/namespaces/_/activations/"+id, "")
					return status == 200
				})
				if code, result, _ := s.recorded(id); code != 1 || !strings.Contains(result, "has left") {
					t.Errorf("the record of what was left says %d %s", code, result)
				}
				if got := s.result(name, `{}`); !strings.Contains(got, worker) {
					t.Errorf("the next run's worker is not %s: %s", worker, got)
				}
			})
		}
	}
}

// Who waits for a first item in vain gets the activation's id, and the run goes on.
func TestPlatformStreamThatDoesNotBeginInTime(t *testing.T) {
	t.Parallel()
	share := shared(t)
	s := startStandalone(t, t.TempDir(), "--share", share)
	s.put("late", action{kind: "python:3", code: "import os, time\ndef main(args):\n    while not os.path.exists(args['file']): time.sleep(0.002)\n    yield 1\n"})
	file := openDir(t, share) + "/go"
	r := s.stream("late", "text/event-stream", `{"file":"`+file+`"}`, "timeout=100")
	b, _ := io.ReadAll(r.in)
	id := r.resp.Header.Get("X-Openwhisk-Activation-Id")
	if r.resp.StatusCode != http.StatusAccepted || string(b) != `{"activationId":"`+id+`"}` {
		t.Fatalf("%d %s", r.resp.StatusCode, b)
	}
	os.WriteFile(file, nil, 0o666)
	eventually(t, "the activation is recorded", func() bool {
		status, _ := s.call("GET", "/namespaces/_/activations/"+id, "")
		return status == 200
	})
	if code, result, _ := s.recorded(id); code != 0 || result != `{"items":[1]}` {
		t.Errorf("the record says %d %s", code, result)
	}
}

func TestPlatformStreamsEndWell(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	for _, c := range []struct {
		name, code         string
		status, statusCode int
		events, record     string
	}{
		{"returns", "def main(args):\n    print('a log')\n    yield 1\n    return {'a': 2}\n", 200, 0,
			"data: 1\n\nevent: result\ndata: {\"result\":{\"a\":2}}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":2}\n\n", `{"a":2}`},
		{"raises", "def main(args):\n    print('a log')\n    yield 1\n    raise ValueError('no')\n", 200, 1,
			"data: 1\n\nevent: error\ndata: {\"error\":\"ValueError: no\"}\n\nevent: end\ndata: {\"outcome\":\"application_error\",\"stream\":true,\"items\":2}\n\n", `{"error":"ValueError: no"}`},
		{"plain", "def main(args):\n    print('a log')\n    return args\n", 200, 0,
			"data: {\"x\":1}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":1}\n\n", `{"x":1}`},
		{"nothing", "def main(args):\n    print('a log')\n    return iter([])\n", 200, 0,
			"event: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":0}\n\n", `{"items":[]}`},
		{"much", "def main(args):\n    print('a log')\n    for i in range(3): yield 'x' * 600000\n", 200, 1,
			strings.Repeat("data: \""+strings.Repeat("x", 600000)+"\"\n\n", 3) + "event: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":3}\n\n", "exceeded the allowed length"},
		{"crashes", "import os\ndef main(args):\n    print('a log', flush=True)\n    yield 1\n    os._exit(3)\n", 200, 2,
			"", "exited with code 3"},
		{"crashes before", "import os\ndef main(args):\n    print('a log', flush=True)\n    os._exit(3)\n", 502, 2,
			"", "exited with code 3"},
		{"no such", "", 404, 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := strings.ReplaceAll(c.name, " ", "-")
			if c.code != "" {
				s.put(name, action{kind: "python:3", code: c.code})
			}
			r := s.stream(name, "text/event-stream", `{"x":1}`)
			b, err := io.ReadAll(r.in)
			if r.resp.StatusCode != c.status || err != nil || c.events != "" && string(b) != c.events {
				t.Errorf("%d %v\n%.300s\nwant %d\n%.300s", r.resp.StatusCode, err, b, c.status, c.events)
			}
			if c.name == "crashes" && (!strings.HasPrefix(string(b), "data: 1\n\nevent: error\ndata: {\"error\":\"The action ended") || !strings.HasSuffix(string(b), "data: {\"outcome\":\"crashed\",\"items\":1}\n\n")) {
				t.Errorf("%s", b)
			}
			if c.status == 404 {
				return
			}
			code, result, logs := s.recorded(r.resp.Header.Get("X-Openwhisk-Activation-Id"))
			if code != c.statusCode || !strings.Contains(result, c.record) {
				t.Errorf("the record says %d %.300s, want %d %s", code, result, c.statusCode, c.record)
			}
			// Standard error is a pipe of its own, and may come first.
			if !slices.ContainsFunc(logs, func(line string) bool { return strings.HasSuffix(line, "stdout: a log") }) {
				t.Errorf("the logs are %q", logs)
			}
		})
	}
	r := s.stream("returns", "application/x-ndjson", `{}`)
	if b, err := io.ReadAll(r.in); err != nil || string(b) != "1\n{\"result\":{\"a\":2}}\n" || r.resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("as lines: %q, %v", b, err)
	}
	if got := s.result("returns", `{}`); got != `{"a":2}` {
		t.Errorf("as one object: %s", got)
	}
	r = read(t, s.api+"/api/v1/namespaces/_/actions/returns", "text/event-stream", `{}`,
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.auth)))
	if r.resp.StatusCode != http.StatusAccepted {
		t.Errorf("without blocking: %d", r.resp.StatusCode)
	}
}
