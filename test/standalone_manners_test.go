package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The first start, measured: until the API answers, and what the idle platform has in memory. The
// bounds are far above what a machine of its own needs, since tests share theirs.
func TestTheFirstStartIsQuickAndSmall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	began := time.Now()
	p := start(t, nil, nil, "standalone", "--listen", addr, "--balancer-listen", "127.0.0.1:0", "--data", t.TempDir())
	eventually(t, "the first answer", func() bool {
		resp, err := http.Get("http://" + addr + "/api/v1")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	took := time.Since(began)
	p.waitFor(`platform listening`)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the first answer took %v; there is no /proc to read the memory from", took)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first answer after %v, %d MB resident", took, kb>>10)
	if took > 20*time.Second || kb > 60<<10 {
		t.Errorf("first answer after %v, %d kB resident; want under a second on a machine that is free, and 60 MB", took, kb)
	}
}

func TestAStartThatCannotBeSaysWhatToDo(t *testing.T) {
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	if err := os.MkdirAll(path("broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("broken/platform.db"), []byte(strings.Repeat("no database at all ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(t, path("file"))
	s := startStandalone(t, path("used"))
	free := []string{"--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0"}
	standalone := func(args ...string) []string { return append(append([]string{"standalone"}, free...), args...) }
	for _, c := range []struct {
		args []string
		want string
	}{
		{standalone("--data", path("used")), "is in use by another whiskaway standalone (process " + strconv.Itoa(s.cmd.Process.Pid) + "); stop that one"},
		{standalone("--data", path("new"), "--listen", strings.TrimPrefix(s.api, "http://")), "--listen: the address " + strings.TrimPrefix(s.api, "http://") + " is in use"},
		{standalone("--data", path("new"), "--balancer-listen", strings.TrimPrefix(s.balancer, "http://")), "is in use by another program"},
		{standalone("--data", path("broken")), "is damaged, or not ours: put a copy back"},
		{standalone("--data", path("file")), "choose another directory with --data"},
		{standalone("--data", path("new"), "--lisen", "x"), "unknown flag: --lisen; is it --listen? See `whiskaway standalone --help`"},
		{standalone("--data", path("new"), "please"), `takes no argument, and "please" is one`},
		{standalone("--data", path("new"), "--drain-timeout", "-1s"), "--drain-timeout must not be negative"},
		{standalone("--data", path("new"), "--drain-timeout", "soon"), "invalid duration"},
		{[]string{"standalon"}, "Did you mean this?\n\tstandalone"},
	} {
		out := fails(t, c.args...)
		if !strings.Contains(out, c.want) || strings.Contains(out, "goroutine") {
			t.Errorf("whiskaway %v said %q, which lacks %q", c.args, out, c.want)
		}
	}
	if status, _ := s.call("GET", "/namespaces", ""); status != 200 {
		t.Errorf("the platform that others wanted to push aside answers %d", status)
	}
}

// failsBehind is fails with a command before it that becomes whiskaway.
func failsBehind(t *testing.T, before []string, args ...string) string {
	t.Helper()
	p := startBehind(t, before, nil, nil, args...)
	p.waitEnded()
	if p.cmd.ProcessState.Success() {
		t.Errorf("whiskaway %v did not refuse", args)
	}
	return p.log()
}

func TestADirectoryThatCannotBeWrittenIsSaid(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root")
	}
	dir := filepath.Join(publicDir(t, 0), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	nobody := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	out := failsBehind(t, nobody, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir)
	if !strings.Contains(out, "this user must be able to write there; or choose another directory with --data") {
		t.Errorf("it said %q", out)
	}
}

// onTmpfs is a command before whiskaway that gives it a small disk of its own at dir. The test
// reaches it through the process.
func onTmpfs(t *testing.T, dir, size string) []string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk takes root")
	}
	script := fmt.Sprintf(`mount -t tmpfs -o size=%s tmpfs %s && exec "$@"`, size, dir)
	before := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"}
	if out, err := exec.Command(before[0], append(before[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v %s", err, out)
	}
	return before
}

// fill fills the disk of dir, as p sees it, to the last byte, and returns what makes room again.
func (p *process) fill(dir string) (empty func()) {
	p.t.Helper()
	path := fmt.Sprintf("/proc/%d/root%s/filler", p.cmd.Process.Pid, dir)
	f, err := os.Create(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
	return func() { os.Remove(path) }
}

func TestAFullDiskIsSaidAtTheStart(t *testing.T) {
	dir := t.TempDir()
	before := onTmpfs(t, dir, "16k")
	before[len(before)-2] = strings.Replace(before[len(before)-2], "&& exec", "&& { head -c 1m /dev/zero > "+dir+"/filler 2>/dev/null; exec", 1) + "; }"
	out := failsBehind(t, before, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir)
	if !strings.Contains(out, "make room on its disk, or choose a directory on another one with --data") {
		t.Errorf("it said %q", out)
	}
}

// A full disk refuses what must be written down, with words, and loses nothing of what was accepted
// before; with room again everything works again.
func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	before := onTmpfs(t, dir, "48m")
	p := startBehind(t, before, nil, nil, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir)
	s := &standalone{process: p, dir: dir, api: p.waitFor(`platform listening on (\S+)`)}
	s.auth = prop(t, fmt.Sprintf("/proc/%d/root%s/wskprops", p.cmd.Process.Pid, dir), "AUTH")
	s.put("echo", action{kind: "python:3", code: echoPy})
	s.result("echo", `{}`)
	empty := p.fill(dir)
	var refusal struct{ Error string }
	ids := map[string]bool{}
	eventually(t, "a refusal", func() bool { // the database has some room of its own
		var a activation
		status, answer := s.call("POST", restNS+"actions/echo", `{"text":"`+strings.Repeat("x", 10_000)+`"}`)
		if err := json.Unmarshal(answer, &a); err != nil {
			t.Fatalf("%d %s", status, answer)
		}
		if status == 202 {
			ids[a.ActivationID] = true
			return false
		}
		return json.Unmarshal(answer, &refusal) == nil
	})
	if !strings.Contains(refusal.Error, "disk of the platform is full") {
		t.Errorf("the refusal: %q", refusal.Error)
	}
	if status, answer := s.call("PUT", restNS+"actions/another", `{"exec":{"kind":"python:3","code":"`+strings.Repeat("#", 100_000)+`"}}`); status == 200 || !strings.Contains(string(answer), "disk of the platform is full") {
		t.Errorf("a new action: %d %s", status, answer)
	}
	empty()
	l := &loader{standalone: s}
	for id := range ids {
		l.record(id)
	}
	s.ask(202, "POST", restNS+"actions/echo", `{}`, nil)
	s.put("another", action{kind: "python:3", code: echoPy})
}
