package runtime

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A sink is a log stream that a test can look into.
type sink struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // gets one element, at least, after each write
}

func newSink() *sink { return &sink{changed: make(chan struct{}, 1)} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.buf.Write(p)
}

// take returns what was written since the last take.
func (s *sink) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.buf.Reset()
	return s.buf.String()
}

// await waits until what is written contains text.
func (s *sink) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		found := strings.Contains(s.buf.String(), text)
		s.mu.Unlock()
		if found {
			return
		}
		select {
		case <-s.changed:
		case <-deadline:
			t.Fatalf("%q does not come", text)
		}
	}
}

// A rig is a Runtime over a fake host, behind a real HTTP server.
type rig struct {
	t        *testing.T
	host     *fakeHost
	runtime  *Runtime
	url      string
	dir      string
	out, err *sink
	targets  []*function.Target // that Remote was asked for
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	g := &rig{t: t, host: newFakeHost(), dir: t.TempDir(), out: newSink(), err: newSink()}
	cfg := Config{
		Local: func(context.Context, map[string]string) (function.Host, error) { return g.host, nil },
		Remote: func(_ context.Context, target *function.Target) (function.Host, error) {
			g.targets = append(g.targets, target)
			return g.host, nil
		},
		Kind: "python:3", Dir: g.dir, APIHost: "http://api", Stdout: g.out, Stderr: g.err,
		HostPatience: time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	g.runtime = New(cfg)
	server := httptest.NewServer(g.runtime.Handler())
	g.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := g.runtime.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if files := kept(g.dir); len(files) != 0 {
			t.Errorf("%d files are left after Close", len(files))
		}
	})
	return g
}

// A reply is an HTTP answer, read whole.
type reply struct {
	status int
	body   string
	header http.Header
}

// do sends a request; the answer must have a length and be JSON.
func (g *rig) do(method, path, body string) reply {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if resp.ContentLength != int64(len(data)) || resp.Header.Get("Content-Type") != "application/json" {
		g.t.Errorf("%s %s: length %d of %d, type %q", method, path, resp.ContentLength, len(data), resp.Header.Get("Content-Type"))
	}
	return reply{resp.StatusCode, string(data), resp.Header}
}

const goodInit = `{"value":{"name":"hello","main":"main","code":"def main(a): return a","binary":false,"env":{"__OW_NAMESPACE":"guest","__OW_ACTION_NAME":"/guest/hello","__OW_API_KEY":"k","COLOR":"blue"}}}`

// init sends a good /init.
func (g *rig) init() {
	g.t.Helper()
	if r := g.do("POST", "/init", goodInit); r.status != 200 || r.body != okAnswer {
		g.t.Fatalf("/init: %d %s", r.status, r.body)
	}
}

func (g *rig) run(body string) reply {
	g.t.Helper()
	return g.do("POST", "/run", body)
}

// wantLogs checks what came on both streams since the last time, guard lines included.
func (g *rig) wantLogs(out, err string) {
	g.t.Helper()
	if got := g.out.take(); got != out {
		g.t.Errorf("stdout %q, want %q", got, out)
	}
	if got := g.err.take(); got != err {
		g.t.Errorf("stderr %q, want %q", got, err)
	}
}

func (r reply) want(t *testing.T, status int, part string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, part) {
		t.Errorf("answer %d %s, want %d with %q", r.status, r.body, status, part)
	}
}

// kept lists the files in dir, also those without a name that this process has open.
func kept(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if path, err := os.Readlink(fd); err == nil && strings.HasPrefix(path, dir+"/") && strings.HasSuffix(path, " (deleted)") {
			files = append(files, path)
		}
	}
	return files
}
