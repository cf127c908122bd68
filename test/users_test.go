package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// user runs `whiskaway user`, and returns what it prints and what it says beside it.
func (s *standalone) user(args ...string) (out, said string, err error) {
	s.t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(binary, append([]string{"user", "--data", s.dir}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = cleanEnv(s.t), &stdout, &stderr
	err = cmd.Run()
	return strings.TrimSpace(stdout.String()), stderr.String(), err
}

// userOK is user where it must succeed.
func (s *standalone) userOK(args ...string) string {
	s.t.Helper()
	out, said, err := s.user(args...)
	if err != nil {
		s.t.Fatalf("user %q: %v: %s", args, err, said)
	}
	return out
}

// as is the platform with another's key.
func (s *standalone) as(auth string) *standalone {
	other := *s
	other.auth = auth
	return &other
}

// waitForStatus waits until the API answers so: a change of users is heard of within a second.
func (s *standalone) waitForStatus(status int, method, path, body string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%s %s is answered with %d", method, path, status), func() bool {
		got, _ := s.call(method, path, body)
		return got == status
	})
}

const openWhisksOwnKey = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"

func TestUserCommand(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	ann := s.as(s.userOK("create", "ann"))
	ann.put("hello", action{kind: "python:3", code: "def main(a): return {'by': 'ann'}"})
	var names []string
	ann.ask(200, "GET", "/namespaces", "", &names)
	if fmt.Sprint(names) != "[ann]" || ann.result("hello", "{}") != `{"by":"ann"}` {
		t.Errorf("a new user's namespaces: %v", names)
	}
	var rec wskActivation
	ann.ask(200, "POST", restNS+"actions/hello?blocking=true", "{}", &rec)
	if rec.Subject != "ann" || rec.Namespace != "ann" {
		t.Errorf("the record: %+v", rec)
	}

	// Two namespaces of one user, two users of one namespace.
	annInTeam := s.as(s.userOK("create", "ann", "--namespace", "team"))
	var created struct{ Name, Namespace, Auth string }
	if err := json.Unmarshal([]byte(s.userOK("create", "bob", "--namespace", "team", "--json")), &created); err != nil || created.Name != "bob" || created.Namespace != "team" {
		t.Fatalf("JSON: %+v, %v", created, err)
	}
	bob := s.as(created.Auth)
	annInTeam.put("shared", action{kind: "python:3", code: "def main(a): return {'ok': True}"})
	bob.ask(200, "POST", restNS+"actions/shared?blocking=true", "{}", &rec)
	if rec.Subject != "bob" || rec.Namespace != "team" {
		t.Errorf("the record: %+v", rec)
	}
	annInTeam.ask(404, "GET", restNS+"actions/hello", "", nil)

	well := s.as(s.userOK("create", "well", "--auth", strings.ToUpper(openWhisksOwnKey[:36])+openWhisksOwnKey[36:]))
	if well.auth != openWhisksOwnKey {
		t.Errorf("a key that was given: %s", well.auth)
	}
	well.ask(200, "GET", "/namespaces", "", &names)

	// Blocked, and in again.
	s.userOK("block", "ann", "bob")
	var failure struct{ Error, Code string }
	for _, one := range []*standalone{ann, annInTeam, bob} {
		one.waitForStatus(401, "GET", "/namespaces", "")
		one.ask(401, "POST", restNS+"actions/hello", "{}", &failure)
		if failure.Error != "The supplied authentication is invalid" {
			t.Errorf("blocked: %+v", failure)
		}
	}
	if list := s.userOK("list"); strings.Count(list, "  yes") != 3 || strings.Count(list, "  no") != 2 || strings.Contains(list, ann.auth[37:]) {
		t.Errorf("the list:\n%s", list)
	}
	if _, said, err := s.user("create", "ann", "--namespace", "more"); err == nil || !strings.Contains(said, "the user ann is blocked; unblock it first") {
		t.Errorf("a key for who is blocked: %v, %s", err, said)
	}
	s.userOK("unblock", "ann", "bob")
	ann.waitForStatus(200, "GET", "/namespaces", "")

	// A new key.
	renewed := ann.as(s.userOK("key", "ann", "--namespace", "ann"))
	ann.waitForStatus(401, "GET", "/namespaces", "")
	renewed.ask(200, "GET", restNS+"actions/hello", "", nil)
	guest := s.userOK("key", "guest")
	if in := prop(t, filepath.Join(s.dir, "wskprops"), "AUTH"); in != guest {
		t.Errorf("wskprops has %s, the new key is %s", in, guest)
	}
	s.as(guest).ask(200, "GET", "/namespaces", "", &names)

	// The end of a user, and of what it made.
	_, said, err := s.user("delete", "ann")
	if err == nil || !strings.Contains(said, "nobody else has a key for the namespace ann, which has 1 action, 2 activations; delete that first, or all of it with --force") || strings.Contains(said, "team") {
		t.Errorf("deleting who has something: %v, %s", err, said)
	}
	renewed.ask(200, "GET", restNS+"actions/hello", "", nil)
	s.userOK("delete", "ann", "--force")
	renewed.waitForStatus(401, "GET", "/namespaces", "")
	bob.ask(200, "GET", restNS+"actions/shared", "", nil) // the namespace is bob's too
	again := s.as(s.userOK("create", "ann"))
	again.ask(404, "GET", restNS+"actions/hello", "", nil)
	var list []wskActivation
	if again.ask(200, "GET", restNS+"activations", "", &list); len(list) != 0 {
		t.Errorf("a later user of that name sees %+v", list)
	}
	s.stop() // all of it works beside the platform, too
	s.userOK("block", "well")
	if got := s.userOK("get", "well", "--json"); !strings.Contains(got, `"blocked":true`) || !strings.Contains(got, openWhisksOwnKey[:36]) || strings.Contains(got, openWhisksOwnKey[37:]) {
		t.Errorf("get: %s", got)
	}
	s = startStandalone(t, s.dir)
	if s.auth != guest {
		t.Error("the new key was lost")
	}
	s.as(openWhisksOwnKey).ask(401, "GET", "/namespaces", "", nil)
	s.as(again.auth).ask(200, "GET", "/namespaces", "", nil)
}

func TestUserCommandSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.userOK("create", "ann")
	for _, c := range []struct{ args, want string }{
		{"create ann", "the user ann has a key for the namespace ann already"},
		{"create", "say who: user create NAME"},
		{"create a/b", `the user "a/b": it must be of letters`},
		{"create _", "'_' stands for everybody's own namespace"},
		{"create x --namespace whisk.system", `the namespace "whisk.system" is the platform's own`},
		{"create " + strings.Repeat("n", 257), "it has 257 bytes, 256 are allowed"},
		{"create x --auth nokey", "the key must be UUID:KEY"},
		{"create x --auth 1:2", "authorization id is not a valid UUID"},
		{"create x --auth " + openWhisksOwnKey[:50], "authorization key must be at least 64 characters long; it has 13"},
		{"get nobody", "there is no user nobody"},
		{"key nobody", "there is no user nobody"},
		{"key ann --namespace other", "the user ann has no key for the namespace other, only for ann"},
		{"delete nobody", "there is no user nobody"},
		{"delete ann --namespace other", "the user ann has no key for the namespace other"},
		{"block nobody", "there is no user nobody"},
		{"unblock", "say who: user unblock NAME..."},
		{"limits nobody", "nobody has a key for a namespace nobody"},
		{"limits ann --max-memory 1.5", "--max-memory: \"1.5\" is not a number of whole megabytes"},
		{"limits ann --max-timeout 25h", "--max-timeout: \"25h\" is not a time from 1ms to 24h0m0s"},
		{"limits ann --invocations-per-minute -1", `--invocations-per-minute: "-1" is neither a number nor "unlimited"`},
		{"limits ann --max-concurrency 0", `--max-concurrency: "0" is not a number from 1 on`},
		{"frobnicate", `unknown command "frobnicate"`},
	} {
		out, said, err := s.user(strings.Fields(c.args)...)
		if err == nil || !strings.Contains(said, c.want) || out != "" {
			t.Errorf("user %s: %v\n%s%s\nwant %s", c.args, err, out, said, c.want)
		}
	}
	nowhere := &standalone{process: s.process, dir: t.TempDir()}
	if _, said, err := nowhere.user("list"); err == nil || !strings.Contains(said, "there is no platform in "+nowhere.dir) {
		t.Errorf("where there is no platform: %v, %s", err, said)
	}
	if left, _ := os.ReadDir(nowhere.dir); len(left) != 0 {
		t.Errorf("it made %v there", left)
	}
}

// Who is removed while he sends a body leaves nothing of it in the namespace, which may be another's by then.
func TestAlwaysTrue9AKeyIsLookedAtAgainAfterALongBody(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	eve := s.as(s.userOK("create", "eve"))
	uuid, key, _ := strings.Cut(eve.auth, ":")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	const body = `{"exec":{"kind":"python:3","code":"def main(a): return {}"}}`
	fmt.Fprintf(conn, "PUT /api/v1/namespaces/_/actions/left HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte(uuid+":"+key)), len(body), body[:10])
	s.userOK("delete", "eve")
	eve.waitForStatus(401, "GET", restNS+"actions", "")
	next := s.as(s.userOK("create", "eve"))
	next.waitForStatus(200, "GET", restNS+"actions", "")
	time.Sleep(time.Second) // the body takes that long
	fmt.Fprint(conn, body[10:])
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
		t.Errorf("%s, %v", answer, err)
	}
	next.ask(404, "GET", restNS+"actions/left", "", nil)
}

// Where a variable says which database is the platform's, it does so for this command, too, without a password on any command line.
func TestUserCommandFindsTheDatabaseByItsVariable(t *testing.T) {
	cmd := exec.Command(binary, "user", "list", "--data", t.TempDir())
	cmd.Env = append(cleanEnv(t), "WHISKAWAY_STORE=postgres://me:hushhush@127.0.0.1:1/mine")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the database mine at 127.0.0.1:1") || strings.Contains(string(out), "hushhush") {
		t.Errorf("%v: %s", err, out)
	}
}

// Keys and passwords on a command line are not shown to other users of the machine.
func TestUserCommandHidesWhatIsSecret(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets a program write over its command line")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// It waits for its standard input.
	cmd := exec.Command(binary, "user", "create", "ann", "--auth", "-", "--store=postgres://me:hushhush@127.0.0.1:1/db")
	cmd.Env, cmd.Stdin = cleanEnv(t), r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var shown []byte
	eventually(t, "the command line is overwritten", func() bool {
		shown, err = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		return err == nil && strings.Contains(string(shown), "create") && !strings.Contains(string(shown), "hushhush")
	})
	if !strings.Contains(string(shown), "--store=xxxx") {
		t.Errorf("the command line: %q", shown)
	}
}

func TestLimitsOfNamespacesByCommand(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir(), "--max-timeout", "24h", "--max-memory", "2g", "--max-logs", "8m", "--fires-per-minute", "7",
		"--max-payload", "3m", "--max-result", "2m", "--max-code", "1m", "--max-concurrency", "5")
	ann := s.as(s.userOK("create", "ann"))
	limits := func(who *standalone) (l map[string]any) {
		t.Helper()
		who.ask(200, "GET", restNS+"limits", "", &l)
		return l
	}
	if got := limits(ann); got["maxActionTimeout"] != 86_400_000.0 || got["maxActionMemory"] != 2048.0 || got["maxActionLogs"] != 8.0 || got["firesPerMinute"] != 7.0 ||
		got["maxActionConcurrency"] != 5.0 || got["maxParameterSize"] != "3145728 B" || got["truncationSize"] != "2097152 B" {
		t.Errorf("everybody's limits: %v", got)
	}
	s.userOK("limits", "ann", "--invocations-per-minute", "0", "--fires-per-minute", "unlimited", "--max-memory", "256m", "--max-timeout", "2h", "--kinds", "python")
	ann.waitForStatus(429, "POST", restNS+"actions/nobody", "{}")
	if got := limits(ann); got["invocationsPerMinute"] != 0.0 || got["firesPerMinute"] != nil || got["maxActionMemory"] != 256.0 || got["maxActionTimeout"] != 7_200_000.0 || fmt.Sprint(got["allowedKinds"]) != "[python:3]" {
		t.Errorf("ann's limits: %v", got)
	}
	if got := limits(s); got["invocationsPerMinute"] != nil || got["maxActionMemory"] != 2048.0 {
		t.Errorf("the others': %v", got)
	}
	var failure struct{ Error string }
	for limit, want := range map[string]string{
		`{"memory":257}`:      "memory 257 MB exceeds allowed threshold of 256 MB",
		`{"timeout":7200001}`: "timeout 7200001 milliseconds exceeds allowed threshold of 7200000 milliseconds",
		`{"concurrency":6}`:   "concurrency 6 exceeds allowed threshold of 5",
		`{"logs":9}`:          "log size 9 MB exceeds allowed threshold of 8 MB",
	} {
		if ann.ask(400, "PUT", restNS+"actions/a", `{"exec":{"kind":"python:3","code":"x"},"limits":`+limit+`}`, &failure); !strings.HasSuffix(failure.Error, want) {
			t.Errorf("%s: %s", limit, failure.Error)
		}
	}
	if ann.ask(403, "PUT", restNS+"actions/a", `{"exec":{"kind":"nodejs:20","code":"x"}}`, &failure); !strings.Contains(failure.Error, "not authorized to access actions of kind 'nodejs:20'") {
		t.Error(failure.Error)
	}
	if ann.ask(413, "PUT", restNS+"actions/a", `{"exec":{"kind":"python:3","code":"`+strings.Repeat("x", 1<<20+1)+`"}}`, &failure); failure.Error != "exec larger than allowed: 1048577 > 1048576 bytes." {
		t.Error(failure.Error)
	}
	s.put("echo", action{kind: "python:3", code: "def main(a): return {'text': a['text'][:a['n']]}"})
	big := `{"n":1500000,"text":"` + strings.Repeat("x", 2<<20) + `"}`
	if got := s.result("echo", big); len(got) != 1_500_000+len(`{"text":""}`) {
		t.Errorf("a large payload and result: %d bytes", len(got))
	}
	s.userOK("limits", "ann", "--reset")
	ann.waitForStatus(404, "POST", restNS+"actions/nobody", "{}")
}

func TestLimitFlagsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, value, want string }{
		{"--max-timeout", "25h", `--max-timeout: "25h0m0s" is not a time from 1ms to 24h0m0s`},
		{"--max-timeout", "50ms", "--max-timeout: it must be from 100 to 86400000 milliseconds"},
		{"--max-memory", "64m", "--max-memory: it must be from 128 to 1048576 MB"},
		{"--max-logs", "11m", "--max-logs: it must be from 0 to 10 MB"},
		{"--max-concurrency", "0", "--max-concurrency: it must be from 1 to 500 runs"},
		{"--max-payload", "1", "--max-payload: it must be from 1k to 40m"},
		{"--invocations-per-minute", "many", `--invocations-per-minute: "many" is neither a number nor "unlimited"`},
	} {
		p := start(t, nil, nil, "standalone", "--data", t.TempDir(), c.flag, c.value)
		<-p.ended
		if !strings.Contains(p.log(), c.want) {
			t.Errorf("%s %s: %s", c.flag, c.value, p.log())
		}
	}
}

// An action's time limit of hours reaches the function as its deadline, locally and elsewhere, and nothing on the
// way has a shorter one of its own.
func TestTimeLimitsOfHoursReachTheFunction(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir(), "--max-timeout", "24h")
	code := "import os, time\ndef main(a): return {'left': float(os.environ['__OW_DEADLINE']) / 1000 - time.time()}"
	for _, main := range []string{"main", "main@local"} {
		s.put("left", action{kind: "python:3", main: main, code: code, timeout: 24 * 3600 * 1000})
		var got struct{ Left float64 }
		if err := json.Unmarshal([]byte(s.result("left", "{}")), &got); err != nil || got.Left < 24*3600-120 || got.Left > 24*3600 {
			t.Errorf("%s: %v s are left, %v", main, got.Left, err)
		}
	}
}
