package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// A stage is what stands behind clients: a balancer with servers that dial home,
// or one server that clients reach directly.
type stage struct {
	t       *testing.T
	direct  bool
	address string // of the balancer, or of the only server
	token   string // the clients'
	share   string // a directory of the functions, which count their runs there
	home    string // the balancer's data directory
	dirs    []string
	args    []string // the servers'

	balancer    *process // nil: direct
	servers     []*process
	proxied     bool
	front, back *cutProxy // before the address, if proxied: for clients, for servers
	runs        atomic.Int64
}

// onBothStages runs the test with a balancer and without.
func onBothStages(t *testing.T, test func(t *testing.T, direct bool)) {
	t.Parallel()
	for name, direct := range map[string]bool{"balancer": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, direct)
		})
	}
}

// newStage starts all of it. args are further ones of the servers.
func newStage(t *testing.T, direct bool, servers int, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, direct: direct}
	s.open(servers, args...)
	return s
}

// newProxiedStage is newStage with proxies on all lines.
func newProxiedStage(t *testing.T, direct bool, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, direct: direct, proxied: true}
	s.open(1, args...)
	return s
}

func (s *stage) open(servers int, args ...string) {
	s.t.Helper()
	s.address, s.token, s.share = ownLoopback()+":0", testToken, shared(s.t)
	s.servers = make([]*process, servers)
	s.args = append([]string{"--label", "box", "--share", s.share}, args...)
	for _, name := range []string{"ran", "cut", "starts"} {
		s.makeNotes(name)
	}
	if !s.direct {
		s.home = s.t.TempDir()
		s.startBalancer()
		s.token = readToken(s.t, s.home, "client")
		if s.proxied {
			s.back = startCutProxy(s.t, s.address)
		}
	}
	for i := range servers {
		s.dirs = append(s.dirs, s.t.TempDir())
		s.startServer(i)
	}
	if s.proxied {
		s.front = startCutProxy(s.t, s.address)
	}
}

// via is the URL behind which the address is: the proxy's if there is one.
func (s *stage) via(p *cutProxy) string {
	if p != nil {
		return "http://" + p.address
	}
	return "http://" + s.address
}

// ownLoopback is an address of this machine that nobody else uses, so that a
// port there is still free when its program is started again.
func ownLoopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.N(250), rand.N(250), 1+rand.N(250))
}

// makeNotes makes a file to which functions of any user can add a line.
func (s *stage) makeNotes(name string) {
	s.t.Helper()
	path := filepath.Join(s.share, name)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		s.t.Fatal(err)
	}
}

// notes returns the lines of such a file.
func (s *stage) notes(name string) []string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.share, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func (s *stage) startBalancer() {
	s.t.Helper()
	s.balancer = start(s.t, nil, nil, "balancer", "--listen", s.address, "--data", s.home)
	s.address = strings.TrimPrefix(s.balancer.waitFor(`balancer listening on (\S+)`), "http://")
}

// startServer starts the ith server, and returns when it serves.
func (s *stage) startServer(i int) {
	s.t.Helper()
	args := append([]string{"server", "--data", s.dirs[i], "--name", fmt.Sprint("box-", i)}, s.args...)
	if s.direct {
		s.servers[i] = start(s.t, nil, nil, append(args, "--listen", s.address, "--token", s.token)...)
		s.address = strings.TrimPrefix(s.servers[i].waitFor(`server listening on (\S+)`), "http://")
		return
	}
	args = append(args, "--balancer", s.via(s.back), "--token", readToken(s.t, s.home, "join"))
	s.servers[i] = start(s.t, nil, nil, args...)
	s.servers[i].waitFor("joined")
	s.awaitOffers(i)
}

// awaitOffers waits until the balancer has noted, should it be killed, that the
// ith server was there.
func (s *stage) awaitOffers(i int) {
	s.t.Helper()
	id, err := os.ReadFile(filepath.Join(s.dirs[i], "id"))
	if err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the balancer notes the server", func() bool {
		b, _ := os.ReadFile(filepath.Join(s.home, "balancer", "offers.json"))
		return strings.Contains(string(b), strings.TrimSpace(string(id)))
	})
}

// status is that of the balancer or of the only server.
func (s *stage) status() function.Status {
	s.t.Helper()
	var now function.Status
	admin := s.token
	if !s.direct {
		admin = readToken(s.t, s.home, "admin")
	}
	c, err := wire.NewClient(wire.ClientConfig{URL: "http://" + s.address, Token: admin})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	err = c.Watch(ctx, func(st function.Status) error { now = st; return io.EOF })
	if len(now.Servers) == 0 && err != io.EOF {
		s.t.Logf("the status: %v", err)
	}
	return now
}

// leases is how many leases the servers know of all functions together.
func (s *stage) leases() (n int) {
	for _, f := range s.status().Functions {
		n += f.Leases
	}
	return n
}

// running is how many runs are under way on all servers.
func (s *stage) running() (n int) {
	for _, v := range s.status().Servers {
		n += v.Running + v.Queued
	}
	return n
}

// functionDirs lists what the servers have of functions on their disks.
func (s *stage) functionDirs() (all []string) {
	for _, dir := range s.dirs {
		left, _ := filepath.Glob(filepath.Join(dir, "functions", "*"))
		all = append(all, left...)
	}
	return all
}

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
	s    *stage
	http *http.Client

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
}

func (a answered) String() string {
	return fmt.Sprintf("run %s: %d %s %v", a.id, a.status, a.body, a.err)
}

// newClient starts a client without a function.
func (s *stage) newClient(env ...string) *client {
	s.t.Helper()
	env = append([]string{"WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER=" + s.via(s.front), "WHISKAWAY_TOKEN=" + s.token,
		"__OW_ALLOW_CONCURRENT=true", "TMPDIR=" + s.t.TempDir()}, env...)
	c := &client{container: startRuntime(s.t, env...), s: s}
	c.http = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}} // as OpenWhisk does
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
	a := answered{id: fmt.Sprintf("run%dend", c.s.runs.Add(1))}
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+"/run", strings.NewReader(runBody(args, a.id, time.Now().Add(limit))))
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

// started waits until the function itself has counted n runs.
func (s *stage) started(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d runs start", n), func() bool { return len(s.notes("ran")) >= n })
}

// let lets the runs go on that wait for the file.
func (s *stage) let(file string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.share, file), nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// audit ends the clients and checks what must hold for every run whatever
// happened: it ran at most once, it ended once, with its own result or with words
// that fit; and both guard lines came once for each.
func (s *stage) audit(clients ...*client) {
	s.t.Helper()
	ran := map[string]int{}
	for _, c := range clients {
		c.stop()
	}
	for _, id := range s.notes("ran") {
		if ran[id]++; ran[id] == 2 {
			s.t.Errorf("run %s started twice", id)
		}
	}
	for _, c := range clients {
		c.audit(ran)
	}
}

func (c *client) audit(ran map[string]int) {
	c.t.Helper()
	for _, a := range c.endings {
		if why := a.wrong(c.t, ran[a.id], c.gone); why != "" {
			c.t.Errorf("%v: %s", a, why)
		}
	}
	if c.gone {
		return // what it printed last is lost
	}
	out, err := strings.Join(c.lines(), "\n"), c.log()
	if n := strings.Count(out, guard); n != len(c.endings) {
		c.t.Errorf("%d guard lines on stdout for %d runs", n, len(c.endings))
	}
	if n := strings.Count(err, guard); n != len(c.endings) {
		c.t.Errorf("%d guard lines on stderr for %d runs", n, len(c.endings))
	}
	for _, a := range c.endings {
		if line := "ran " + a.id; a.status == 200 && (strings.Count(out, line) != 1 || strings.Count(err, line) != 1) {
			c.t.Errorf("run %s succeeded; its log lines came %d and %d times", a.id, strings.Count(out, line), strings.Count(err, line))
		}
	}
}

// wrong says what is wrong with how a run ended that its function has counted
// ran times.
func (a answered) wrong(t *testing.T, ran int, gone bool) string {
	var told struct{ Error string }
	json.Unmarshal([]byte(a.body), &told)
	switch {
	case a.err != nil && (gone || a.left):
		return ""
	case a.err != nil:
		return "it has no answer"
	case a.status == 200 && (ran != 1 || !a.ok(t)):
		return fmt.Sprintf("a success that ran %d times", ran)
	case a.status != 200 && told.Error == "":
		return "the error has no words"
	case (a.status == 503 || a.neverRan()) && ran != 0:
		return "it is said to have never started, but it ran"
	case a.status != 200 && a.status != 502 && a.status != 503:
		return "no such status"
	}
	return ""
}

// failures are the runs that did not succeed, by what their errors say.
func (c *client) failures() (all []answered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.endings {
		if a.status != 200 {
			all = append(all, a)
		}
	}
	return all
}

// wantLost checks that all failures are of runs that may have started, n at most.
// A process that is killed closes its connections one by one, so a caller whose
// run was lost may lose another one.
func (c *client) wantLost(n int) {
	c.t.Helper()
	failed := c.failures()
	words := map[string]int{}
	for _, a := range failed {
		words[strings.ReplaceAll(a.body, a.id, "")]++
		if !a.mayHaveRun() || a.status != 502 {
			c.t.Errorf("it was neither run nor lost: %v", a)
		}
	}
	c.t.Logf("%d runs, %d lost", len(c.endings), len(failed))
	if len(failed) > n {
		c.t.Errorf("%d runs were lost, more than %d:\n%s", len(failed), n, strings.Join(slices.Sorted(maps.Keys(words)), "\n"))
	}
}

// rounds is short, or long for WHISKAWAY_SLOW.
func rounds(short, long int) int {
	if slow() {
		return long
	}
	return short
}
