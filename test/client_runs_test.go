package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted notes its start, each run, and each run that is cut. It waits for a
// file of the name "wait", which is its run's, or for "sleep" seconds.
const counted = `
import os, sys, time
share = "SHARE"
def note(file, text):
    fd = os.open(os.path.join(share, file), os.O_WRONLY | os.O_APPEND)
    os.write(fd, (text + "\n").encode())
    os.close(fd)
note("starts", str(os.getpid()))
def main(args):
    me = os.environ["__OW_ACTIVATION_ID"]
    try:
        note("ran", me)
        print("ran " + me, flush=True)
        print("ran " + me, file=sys.stderr, flush=True)
        while args.get("wait") and not os.path.exists(os.path.join(share, args["wait"])):
            time.sleep(0.005)
        time.sleep(args.get("sleep", 0))
    except BaseException:
        note("cut", me)
        raise
    return {"id": me}
`

// many are a target's needs for 16 runs at once without 16 processes.
const many = "&concurrency=16&workers=1"

// A client is a runtime in client mode, and what became of its runs.
type client struct {
	*container
	s *stage

	mu      sync.Mutex
	endings []answered
	gone    bool // it was killed, so that runs may end without an answer
}

// signal returns what sends a signal to the client.
func (c *client) signal(s os.Signal) func() error {
	return func() error { return c.cmd.Process.Signal(s) }
}

// An answered is how one run ended for the platform.
type answered struct {
	id     string
	status int // 0: there was no answer
	body   string
	err    error
	left   bool // nobody waited for its end
	ended  time.Time
	took   time.Duration
}

func (a answered) String() string {
	return fmt.Sprintf("run %s: %d %s %v", a.id, a.status, a.body, a.err)
}

// newClient starts a client without a function.
func (s *stage) newClient(env ...string) *client {
	s.t.Helper()
	env = append([]string{"WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER=" + s.via(s.front), "WHISKAWAY_TOKEN=" + s.token,
		"__OW_ALLOW_CONCURRENT=true", "TMPDIR=" + s.t.TempDir()}, env...)
	c := &client{container: startRuntimeBehind(s.t, s.inside, env...), s: s}
	c.http = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: s.dial}} // as OpenWhisk does
	return c
}

// client starts a client that has the counting function, whose action has that name.
func (s *stage) client(action, needs string, env ...string) *client {
	s.t.Helper()
	c := s.newClient(env...)
	if status, body := c.init(action, needs); status != 200 {
		s.t.Fatalf("/init: %d %s", status, body)
	}
	return c
}

func (c *client) init(action, needs string) (int, string) {
	c.t.Helper()
	code := strings.ReplaceAll(counted, "SHARE", c.s.share)
	names := map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/" + action}
	return c.post("/init", initBody("main@box?"+strings.TrimPrefix(needs, "&"), code, names))
}

// run runs the function as an invoker does, and keeps how that ended. A limit
// of 0 is patience.
func (c *client) run(ctx context.Context, args string, limit time.Duration) answered {
	if limit == 0 {
		limit = patience
	}
	begin := time.Now()
	a := answered{id: fmt.Sprintf("run%dend", c.s.runs.Add(1))}
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+"/run", strings.NewReader(runBody(args, a.id, begin.Add(limit))))
	if err != nil {
		panic(err)
	}
	var resp *http.Response
	if resp, a.err = c.http.Do(req); a.err == nil {
		defer resp.Body.Close()
		var b []byte
		b, a.err = io.ReadAll(resp.Body)
		a.status, a.body = resp.StatusCode, string(b)
		if resp.ContentLength != int64(len(b)) {
			a.err = fmt.Errorf("%d bytes, Content-Length %d", len(b), resp.ContentLength)
		}
	}
	a.left = ctx.Err() != nil
	a.ended = time.Now()
	a.took = a.ended.Sub(begin)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endings = append(c.endings, a)
	return a
}

// atOnce begins n runs, and returns what gives their endings.
func (c *client) atOnce(n int, args string, limit time.Duration) func() []answered {
	all := make([]answered, n)
	var runs sync.WaitGroup
	for i := range n {
		runs.Go(func() { all[i] = c.run(context.Background(), args, limit) })
	}
	return func() []answered { runs.Wait(); return all }
}

// callers keeps n runs going, one after the other, until the returned func is
// called, which waits for the last ones.
func (c *client) callers(n int, args string) (end func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for !over.Load() {
				c.run(context.Background(), args, 0)
			}
		})
	}
	return func() { over.Store(true); all.Wait() }
}

// mustRun is a run that succeeds.
func (c *client) mustRun() {
	c.t.Helper()
	if a := c.run(c.t.Context(), `{}`, 0); !a.ok(c.t) {
		c.t.Errorf("it must succeed: %v", a)
	}
}

// ok reports whether the run gave its own result.
func (a answered) ok(t *testing.T) bool {
	return a.err == nil && a.status == 200 && compact(t, a.body) == fmt.Sprintf(`{"id":%q}`, a.id)
}

// mayHaveRun reports whether the platform was told that a run may have started.
func (a answered) mayHaveRun() bool { return strings.Contains(a.body, "may have") }

// neverRan reports whether it was told that the run never started.
func (a answered) neverRan() bool { return strings.Contains(a.body, "could not run") }

// succeeded counts the runs that gave their results so far.
func (c *client) succeeded() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.endings {
		if a.status == 200 {
			n++
		}
	}
	return n
}

// progress waits until n more runs have succeeded.
func (c *client) progress(n int) {
	c.t.Helper()
	before := c.succeeded()
	eventually(c.t, fmt.Sprintf("%d more runs succeed", n), func() bool { return c.succeeded() >= before+n })
}
