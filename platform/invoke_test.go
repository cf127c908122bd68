package platform

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
)

func TestBlockingInvocationReturnsTheRecord(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("hello", "log=2 partial", "")
	res := h.call("POST", ns+"actions/hello?blocking=true", `{"a":1}`)
	rec := h.wantJSON(200, res)
	id, _ := rec["activationId"].(string)
	if len(id) != 32 || res.header.Get("x-openwhisk-activation-id") != id {
		t.Fatalf("activation id %q, header %q", id, res.header.Get("x-openwhisk-activation-id"))
	}
	for key, want := range map[string]any{
		"namespace": "guest", "name": "hello", "version": "0.0.1", "subject": "guest",
		"publish": false, "statusCode": json.Number("0"),
	} {
		if rec[key] != want {
			t.Errorf("%s is %v, want %v", key, rec[key], want)
		}
	}
	for key, want := range map[string]string{
		"path": "guest/hello", "kind": "python:3", "timeout": "false",
		"limits": "map[concurrency:1 logs:10 memory:256 timeout:60000]",
	} {
		if got := fmt.Sprint(annotation(rec, key)); got != want {
			t.Errorf("annotation %s is %s, want %s", key, got, want)
		}
	}
	if annotation(rec, "initTime") == nil || annotation(rec, "waitTime") == nil {
		t.Errorf("a cold start has waitTime and initTime: %v", rec["annotations"])
	}
	if at(rec, "response", "status") != "success" || at(rec, "response", "success") != true {
		t.Errorf("response: %v", rec["response"])
	}
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err): .+$`)
	var out []string
	for _, l := range logsOf(rec) {
		if !line.MatchString(l) {
			t.Errorf("a log line is %q", l)
		}
		if strings.Contains(l, " stdout: ") {
			out = append(out, l[strings.Index(l, ": ")+2:])
		}
	}
	if want := []string{"fake starts", "out 0", "out 1", "no newline"}; !slices.Equal(out, want) {
		t.Errorf("stdout is %q, want %q", out, want)
	}
	stored := h.want(200, "GET", ns+"activations/"+id, "")
	if fmt.Sprint(stored) != fmt.Sprint(rec) {
		t.Errorf("the stored record differs:\n%v\n%v", stored, rec)
	}
	if warm := h.invoke(200, "hello", ""); annotation(warm, "initTime") != nil {
		t.Errorf("a warm start has no initTime: %v", warm["annotations"])
	}
}

func TestAlwaysTrue2ParametersArriveUntouched(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("value", "value", "")
	for _, args := range []string{
		`{"n":12345678901234567890,"f":1.10,"e":1E400,"s":"<&>\u2028é","dup":1,"dup":2}`,
		`[1,{"a":[12345678901234567890]},"x"]`,
		`{}`,
	} {
		res := h.call("POST", ns+"actions/value?blocking=true&result=true", args)
		if res.status != 200 || string(res.body) != args {
			t.Errorf("%s became %s (%d)", args, res.body, res.status)
		}
	}
	h.want(200, "PUT", ns+"actions/value?overwrite=true",
		`{"parameters":[{"key":"a","value":98765432109876543210},{"key":"b","value":"<def>"},{"key":"E","value":"env","init":true}]}`)
	res := h.call("POST", ns+"actions/value?blocking=true&result=true", `{"b":1.50, "c":20000000000000000001}`)
	if want := `{"a":98765432109876543210,"b":1.50, "c":20000000000000000001}`; string(res.body) != want {
		t.Errorf("merged to %s, want %s", res.body, want)
	}
}

func TestWhatTheRuntimeGets(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.want(200, "PUT", ns+"packages/p", `{"parameters":[{"key":"fromPackage","value":1}]}`)
	h.want(200, "PUT", ns+"actions/p/x", `{"exec":{"kind":"nodejs:default","code":"go <&> on","main":"f@gpu"},
		"annotations":[{"key":"provide-api-key","value":true}],
		"parameters":[{"key":"S","value":"text","init":true},{"key":"J","value":{"a":1.0},"init":true}]}`)
	before := time.Now().UnixMilli()
	rec := h.invoke(200, "p/x", `{"a":1}`)
	result := at(rec, "response", "result")
	run := at(result, "run").(map[string]any)
	for key, want := range map[string]string{
		"namespace": "guest", "action_name": "/guest/p/x", "action_version": "0.0.1",
		"activation_id": rec["activationId"].(string), "api_key": h.auth[0] + ":" + h.auth[1],
		"value": "map[a:1 fromPackage:1]",
	} {
		if got := fmt.Sprint(run[key]); got != want {
			t.Errorf("run: %s is %s, want %s", key, got, want)
		}
	}
	var deadline int64
	if _, err := fmt.Sscan(run["deadline"].(string), &deadline); err != nil || deadline < before+50_000 || deadline > before+90_000 {
		t.Errorf("the deadline %v is not about a minute ahead of %d", run["deadline"], before)
	}
	init := at(result, "init").(map[string]any)
	if init["name"] != "x" || init["main"] != "f@gpu" || init["code"] != "go <&> on" || init["binary"] != false {
		t.Errorf("init: %v", init)
	}
	env := init["env"].(map[string]any)
	for key, want := range map[string]string{
		"S": "text", "J": `{"a":1.0}`, "__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/p/x",
		"__OW_ACTION_VERSION": "0.0.1", "__OW_API_KEY": h.auth[0] + ":" + h.auth[1],
		"__OW_ACTIVATION_ID": rec["activationId"].(string),
	} {
		if env[key] != want {
			t.Errorf("env: %s is %v, want %s", key, env[key], want)
		}
	}
	if at(result, "kind") != "nodejs:20" || at(result, "apihost") != "http://api.test" {
		t.Errorf("the container's own environment: %v, %v", at(result, "kind"), at(result, "apihost"))
	}
	h.action("plain", "x", "")
	if key := at(h.invoke(200, "plain", ""), "response", "result", "run", "api_key"); key != nil {
		t.Errorf("a new action gets no key unless it asks for it, got one")
	}
}

// TestVerdicts goes through the table "What the invoker makes of the answer".
func TestVerdicts(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	quick := `{"timeout":300}`
	for _, c := range []struct {
		name, code, limits string
		http, status       int
		err                string // the text of the result's error
		warm               bool   // the container is kept
	}{
		{"ok", "log=1", "", 200, 0, "", true},
		{"array", "answer=[1,2]", "", 200, 0, "", true},
		{"app-error", `answer={"error":"mine","more":1}`, "", 502, 1, "mine", true},
		{"number", "answer=42", "", 502, 2, "The action did not return a dictionary or array.", false},
		{"no-json", "answer=oops", "", 502, 2, "The action did not produce a valid JSON response: oops", false},
		{"status", "status=502", "", 502, 2, "status 502", false},
		{"no-content", "no-content", "", 502, 2, "The action did not produce a valid response and exited unexpectedly.", false},
		{"chunked", "chunked", "", 502, 2, "The action did not produce a valid response and exited unexpectedly.", false},
		{"crash", "crash", "", 502, 2, "The action did not produce a valid response and exited unexpectedly.", false},
		{"big", "big=1100000", "", 502, 1, "The action produced a response that exceeded the allowed length: 1100010 > 1048576 bytes. The truncated response was: {", true},
		{"slow", "log=1 sleep=60000", quick, 502, 2, "The action exceeded its time limits of 300 milliseconds.", false},
		{"slow-init", "init-sleep=60000", quick, 502, 2, "The action exceeded its time limits of 300 milliseconds during initialization.", false},
		{"init-fail", "init-fail", "", 502, 2, "it will not start", false},
		{"init-crash", "init-crash", "", 502, 2, "The action did not initialize and exited unexpectedly.", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := *h
			h.t = t
			h.action(c.name, c.code, c.limits)
			rec := h.invoke(c.http, c.name, "")
			if got := fmt.Sprint(rec["statusCode"]); got != fmt.Sprint(c.status) {
				t.Errorf("statusCode %s, want %d", got, c.status)
			}
			got, _ := at(rec, "response", "result", "error").(string)
			if !strings.HasPrefix(got, c.err) || c.err == "" && got != "" {
				t.Errorf("error %.200q, want %q", got, c.err)
			}
			if timedOut := annotation(rec, "timeout"); timedOut != strings.HasPrefix(c.name, "slow") {
				t.Errorf("annotation timeout is %v", timedOut)
			}
			if c.name == "crash" && !strings.Contains(strings.Join(logsOf(rec), "\n"), "last words") {
				t.Errorf("the logs of a crash are lost: %v", rec["logs"])
			}
			if c.name == "app-error" && at(rec, "response", "result", "more") != nil {
				t.Errorf("OpenWhisk keeps the error only: %v", rec["response"])
			}
			again := h.invoke(c.http, c.name, "")
			if isWarm := annotation(again, "initTime") == nil; isWarm != c.warm {
				t.Errorf("the second run was warm: %v, want %v", isWarm, c.warm)
			}
		})
	}
}

func TestAlwaysTrue3LogsAreWholeAndInOrder(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("logs", "log=3000", "")
	for round := range 3 {
		rec := h.invoke(200, "logs", "")
		var out, err int
		for _, l := range logsOf(rec) {
			_, text, _ := strings.Cut(l, " ")
			switch text {
			case fmt.Sprintf("stdout: out %d", out):
				out++
			case fmt.Sprintf("stderr: err %d", err):
				err++
			case "stdout: fake starts":
			default:
				t.Fatalf("round %d: unexpected line %q after %d and %d", round, l, out, err)
			}
		}
		if out != 3000 || err != 3000 {
			t.Fatalf("round %d: %d and %d lines of 3000", round, out, err)
		}
	}
}

func TestLogsAreTruncatedAtTheLimit(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("long", "long-line=3000000 log=1", `{"logs":1}`)
	for range 2 { // the second run shows that the container is still good
		rec := h.invoke(200, "long", "")
		lines := logsOf(rec)
		last := lines[len(lines)-1]
		if !strings.HasSuffix(last, "stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes.") {
			t.Fatalf("the last line is %.200q", last)
		}
		total := 0
		for _, l := range lines[:len(lines)-1] {
			total += len(l)
		}
		if total < 1<<20-1000 || total > 1<<20 { // with the lines' times
			t.Fatalf("%d bytes were kept", total)
		}
	}
}

func TestMissingGuardDestroysTheContainer(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) { c.Invoker.LogWait = 50 * time.Millisecond })
	h.action("quiet", "no-guard log=1", "")
	one, two := h.invoke(200, "quiet", ""), h.invoke(200, "quiet", "")
	lines := logsOf(one)
	if !strings.HasSuffix(lines[len(lines)-1], "There was an issue while collecting your logs. Data might be missing.") {
		t.Errorf("logs are not marked: %v", lines)
	}
	if annotation(two, "initTime") == nil {
		t.Errorf("the container was used again")
	}
}

func TestAlwaysTrue1RefusedRunIsTriedOnceMore(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	dir := t.TempDir()
	file, count := filepath.Join(dir, "refuse"), filepath.Join(dir, "count")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.action("once", "refuse-once="+file+" count="+count, "")
	h.invoke(200, "once", "")
	if data, _ := os.ReadFile(count); strings.Count(string(data), "\n") != 1 {
		t.Errorf("the run ran %d times", strings.Count(string(data), "\n"))
	}
	h.action("never", "refuse", "")
	if rec := h.invoke(500, "never", ""); fmt.Sprint(rec["statusCode"]) != "3" {
		t.Errorf("refused twice: %v", rec)
	}
}

func TestAlwaysTrue1CrashedRunIsNotRepeated(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	count := filepath.Join(t.TempDir(), "count")
	h.action("crash", "count="+count+" crash", "")
	h.invoke(502, "crash", "")
	if data, _ := os.ReadFile(count); strings.Count(string(data), "\n") != 1 {
		t.Errorf("the run ran %d times", strings.Count(string(data), "\n"))
	}
}

func TestNonBlockingAndTimeout(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.action("wait", "until="+gate, "")
	var ids []string
	for _, query := range []string{"", "?blocking=true&timeout=50"} {
		res := h.call("POST", ns+"actions/wait"+query, "")
		got := h.wantJSON(202, res)
		id, _ := got["activationId"].(string)
		if len(got) != 1 || id == "" || res.header.Get("x-openwhisk-activation-id") != id {
			t.Fatalf("202 with %v", got)
		}
		h.want(404, "GET", ns+"activations/"+id, "")
		ids = append(ids, id)
	}
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		eventually(t, "the record of "+id, func() bool {
			return h.call("GET", ns+"activations/"+id, "").status == 200
		})
	}
}

func TestWhereTheTimeWent(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("timing", "timing", "")
	got := annotation(h.invoke(200, "timing", ""), "whiskaway")
	if at(got, "server") != "box" || at(got, "cold") != true {
		t.Errorf("annotation: %v", got)
	}
	for station, want := range map[string]string{"function": "1.2", "server": "2", "runtime": "3.1"} {
		if s := fmt.Sprint(at(got, "stations", station)); s != want {
			t.Errorf("station %s: %s, want %s", station, s, want)
		}
	}
	for _, station := range []string{"invoker", "controller"} {
		if ms, err := at(got, "stations", station).(json.Number).Float64(); err != nil || ms <= 0 {
			t.Errorf("station %s: %v, %v", station, ms, err)
		}
	}
}

func TestLargeArguments(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("value", "value", "")
	args := `{"x":"` + strings.Repeat("z", 900_000) + `"}`
	if res := h.call("POST", ns+"actions/value?blocking=true&result=true", args); string(res.body) != args {
		t.Errorf("%d bytes became %d (%d)", len(args), len(res.body), res.status)
	}
	args = `{"x":"` + strings.Repeat("z", 1<<20) + `"}`
	got := h.want(413, "POST", ns+"actions/value?blocking=true", args)
	if want := fmt.Sprintf("Request larger than allowed: %d > 1048576 bytes.", len(args)); got["error"] != want {
		t.Errorf("error %q, want %q", got["error"], want)
	}
}

func TestCodeLimit(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) {
		c.Limits = controller.DefaultLimits()
		c.Limits.Code = 1000
	})
	body := `{"exec":{"kind":"python:3","code":"` + strings.Repeat("#", 1001) + `"}}`
	if got := h.want(413, "PUT", ns+"actions/big", body); got["error"] != "exec larger than allowed: 1001 > 1000 bytes." {
		t.Errorf("error: %v", got["error"])
	}
}
