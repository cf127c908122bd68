package platform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAlwaysTrue9NothingWithoutTheKey(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	for _, auth := range [][2]string{{}, {h.auth[0], "wrong"}, {"wrong", h.auth[1]}, {h.auth[0], ""}} {
		for _, path := range []string{ns + "actions", ns + "actions/a", "/api/v1/namespaces", "/nowhere"} {
			r := h.request("GET", path, "")
			want := "The supplied authentication is invalid"
			if auth == [2]string{} {
				want = "The resource requires authentication, which was not supplied with the request"
			} else {
				r.SetBasicAuth(auth[0], auth[1])
			}
			got := h.wantJSON(401, h.send(r))
			if got["error"] != want {
				t.Errorf("%s: %v", path, got["error"])
			}
		}
	}
	got := h.want(403, "GET", "/api/v1/namespaces/other/actions", "")
	if got["error"] != "The supplied authentication is not authorized to access 'other'." {
		t.Errorf("403: %v", got)
	}
}

func TestDescriptionsNeedNoKey(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	got := h.wantJSON(200, h.send(h.request("GET", "/api/v1", "")))
	if build, _ := got["build"].(string); !strings.HasPrefix(build, "20") {
		t.Errorf("build: %v", got)
	}
	got = h.wantJSON(200, h.send(h.request("GET", "/", "")))
	if fmt.Sprint(at(got, "limits", "max_action_duration")) != "300000" || at(got, "runtimes", "python") == nil {
		t.Errorf("the root says %v", got)
	}
	if res := h.call("GET", "/api/v1/namespaces", ""); string(res.body) != `["guest"]` {
		t.Errorf("namespaces: %s", res.body)
	}
	if got := h.want(200, "GET", ns+"limits", ""); fmt.Sprint(got["maxActionMemory"]) != "512" {
		t.Errorf("limits: %v", got)
	}
}

func TestHeadersAndErrors(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	r := h.request("GET", ns+"actions/nobody", "")
	r.SetBasicAuth(h.auth[0], h.auth[1])
	r.Header.Set("X-Request-ID", "mine-1")
	res := h.send(r)
	got := h.wantJSON(404, res)
	if got["error"] != "The requested resource does not exist." || got["code"] != "mine-1" || res.header.Get("X-Request-ID") != "mine-1" {
		t.Errorf("404: %v, %v", got, res.header)
	}
	if res.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("no CORS: %v", res.header)
	}
	res = h.send(h.request("OPTIONS", ns+"actions/a", ""))
	if res.status != 200 || !strings.Contains(res.header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("OPTIONS: %d, %v", res.status, res.header)
	}
	for _, c := range []struct {
		status             int
		method, path, body string
		want               string
	}{
		{404, "GET", ns + "nothing", "", "The requested resource does not exist."},
		{405, "PATCH", ns + "actions/a", "", "HTTP method not allowed, supported methods: GET, PUT, POST, DELETE"},
		{400, "PUT", ns + "actions/a", `{"exec":{"kind":"cobol","code":"x"}}`, "The request content was malformed:\nkind 'cobol' not in Set(python:3, nodejs:20, native)"},
		{400, "PUT", ns + "actions/a", `{"exec":{"kind":"sequence","components":[]}}`, "No component specified for the sequence."},
		{400, "PUT", ns + "actions/a", `{"exec":{"kind":"native"}}`, "The request content was malformed:\n'code' must be a string defined in 'exec' for 'native' actions"},
		{400, "PUT", ns + "actions/a", `{}`, "exec undefined"},
		{400, "PUT", ns + "actions/a", `{"exec":`, "The request content was malformed:\nunexpected end of JSON input"},
		{400, "PUT", ns + "actions/a", `{"exec":{"kind":"native","code":"x"},"limits":{"memory":64}}`, "The request content was malformed:\nrequirement failed: memory 64 MB below allowed threshold of 128 MB"},
		{400, "PUT", ns + "actions/a", `{"exec":{"kind":"native","code":"x"},"limits":{"timeout":300001}}`, "The request content was malformed:\nrequirement failed: timeout 300001 milliseconds exceeds allowed threshold of 300000 milliseconds"},
		{400, "PUT", ns + "actions/%2Fa", `{}`, "The name of the entity contains illegal characters."},
		{404, "PUT", ns + "actions/nopackage/a", `{"exec":{"kind":"native","code":"x"}}`, "The requested resource does not exist."},
		{400, "PUT", ns + "packages/default", `{}`, "Package name 'default' is reserved."},
		{403, "PUT", ns + "packages/b", `{"binding":{"namespace":"x","name":"y"}}`, "The supplied authentication is not authorized to access 'x/y'."},
		{400, "PUT", ns + "packages/b", `{"binding":{"namespace":"_","name":"y"}}`, "Binding references a package that does not exist."},
		{400, "PUT", ns + "rules/r", `{"trigger":"/_/t"}`, "rule requires a valid trigger and a valid action"},
		{400, "PUT", ns + "rules/r", `{"trigger":"/_/t","action":"/_/a"}`, "trigger guest/t: The requested resource does not exist."},
		{404, "POST", ns + "actions/nobody", `{}`, "The requested resource does not exist."},
		{400, "POST", ns + "actions/nobody", `{"a":`, "The request content was malformed:\nthe body is not JSON"},
		{400, "POST", ns + "actions/nobody", `17`, "The request content was malformed:\nObject expected; parameters are a JSON object or an array"},
		{400, "POST", ns + "actions/nobody?blocking=maybe", `{}`, "The query parameter 'blocking' was malformed:\n'maybe' is not a valid Boolean value"},
		{400, "POST", ns + "actions/nobody?timeout=60001", `{}`, "The query parameter 'timeout' was malformed:\nTimeout must be number of milliseconds up to 60000."},
		{400, "GET", ns + "actions?limit=201", "", "The query parameter 'limit' was malformed:\nThe value '201' is not in the range of 0 to 200 for actions."},
		{400, "GET", ns + "activations?skip=x", "", "The query parameter 'skip' was malformed:\nThe value 'x' is not an integer for activations."},
		{400, "GET", ns + "activations/123", "", "Activation id length is 3 but must be 32."},
		{400, "GET", ns + "activations?count=true&docs=true", "", "The parameter 'docs' is not permitted with 'count'."},
		{404, "GET", "/api/v1/web/guest/default/a", "", "The requested resource does not exist."},
	} {
		got := h.want(c.status, c.method, c.path, c.body)
		if got["error"] != c.want || got["code"] == "" {
			t.Errorf("%s %s %s: %q, want %q", c.method, c.path, c.body, got["error"], c.want)
		}
	}
}

func TestActions(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	put := `{"exec":{"kind":"python:default","code":"def main(a): return a","main":"f"},
		"annotations":[{"key":"note","value":1.50}],"parameters":[{"key":"p","value":12345678901234567890}],"limits":{"memory":128}}`
	a := h.want(200, "PUT", ns+"actions/hello", put)
	want := `{"annotations":[{"key":"note","value":1.50},{"key":"provide-api-key","value":false},{"key":"exec","value":"python:3"},{"key":"binary","value":false}],` +
		`"exec":{"binary":false,"code":"def main(a): return a","kind":"python:3","main":"f"},` +
		`"limits":{"concurrency":1,"logs":10,"memory":128,"timeout":60000},"name":"hello","namespace":"guest",` +
		`"parameters":[{"key":"p","value":12345678901234567890}],"publish":false,"version":"0.0.1"}`
	delete(a, "updated")
	if got, _ := json.Marshal(a); string(got) != want {
		t.Errorf("PUT answers\n%s, want\n%s", got, want)
	}
	if got := h.want(409, "PUT", ns+"actions/hello", put); got["error"] != "resource already exists" {
		t.Errorf("PUT without overwrite: %v", got)
	}
	a = h.want(200, "PUT", ns+"actions/hello?overwrite=true", `{"limits":{"timeout":1000}}`)
	if a["version"] != "0.0.2" || at(a, "exec", "code") != "def main(a): return a" ||
		fmt.Sprint(a["limits"]) != "map[concurrency:1 logs:10 memory:128 timeout:1000]" {
		t.Errorf("an update keeps what it does not say: %v", a)
	}
	if a = h.want(200, "GET", ns+"actions/hello?code=false", ""); at(a, "exec", "code") != nil {
		t.Errorf("GET with code=false: %v", a)
	}
	if a = h.want(200, "GET", "/api/v1/namespaces/guest/actions/hello", ""); at(a, "exec", "code") == nil {
		t.Errorf("GET: %v", a)
	}
	h.want(409, "PUT", ns+"triggers/hello?overwrite=true", `{}`)
	zip := base64.StdEncoding.EncodeToString([]byte("PK\x03\x04 and more"))
	a = h.want(200, "PUT", ns+"actions/zip", `{"exec":{"kind":"nodejs:20","code":"`+zip+`"}}`)
	if at(a, "exec", "binary") != true || annotation(a, "binary") != true {
		t.Errorf("a zip is binary: %v", a)
	}
	h.want(200, "DELETE", ns+"actions/hello", "")
	h.want(404, "GET", ns+"actions/hello", "")
	h.want(404, "DELETE", ns+"actions/hello", "")
}

func TestLists(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.want(200, "PUT", ns+"packages/p", `{}`)
	for i := range 3 {
		h.action(fmt.Sprint("a", i), "x", "")
	}
	h.action("p/inner", "x", "")
	for path, want := range map[string]string{
		"actions":                "inner a2 a1 a0",
		"actions/":               "inner a2 a1 a0",
		"actions?limit=2":        "inner a2",
		"actions?limit=0&skip=2": "a1 a0",
		"actions/p/":             "inner",
		"packages":               "p",
		"triggers":               "",
		"rules":                  "",
	} {
		res := h.call("GET", ns+path, "")
		var list []map[string]any
		if err := json.Unmarshal(res.body, &list); err != nil || list == nil {
			t.Fatalf("%s: %s: %v", path, res.body, err)
		}
		var names []string
		for _, e := range list {
			names = append(names, e["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := h.want(200, "GET", ns+"actions?count=true&skip=1", ""); fmt.Sprint(got) != "map[actions:3]" {
		t.Errorf("count: %v", got)
	}
	pkg := h.want(200, "GET", ns+"packages/p", "")
	if list, _ := pkg["actions"].([]any); len(list) != 1 || at(list[0], "name") != "inner" {
		t.Errorf("package: %v", pkg)
	}
	if got := h.want(409, "DELETE", ns+"packages/p", ""); !strings.HasPrefix(got["error"].(string), "Package not empty (contains 1 entity)") {
		t.Errorf("deleting a full package: %v", got)
	}
	h.want(200, "DELETE", ns+"packages/p?force=true", "")
	h.want(404, "GET", ns+"actions/p/inner", "")
}

func TestActivationLists(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "log=1", "")
	h.action("b", "answer=[7]", "")
	// Each starts in a millisecond of its own: since and upto know nothing finer.
	invoke := func(name string, after map[string]any) map[string]any {
		eventually(t, "the next millisecond", func() bool { return fmt.Sprint(time.Now().UnixMilli()) > fmt.Sprint(after["start"]) })
		return h.invoke(200, name, "")
	}
	first := h.invoke(200, "a", "")
	second := invoke("b", first)
	third := invoke("a", second)
	ids := func(query string) string {
		res := h.call("GET", ns+"activations"+query, "")
		var list []map[string]any
		if err := json.Unmarshal(res.body, &list); err != nil {
			t.Fatalf("%s: %s", query, res.body)
		}
		var names []string
		for _, a := range list {
			names = append(names, map[any]string{first["activationId"]: "1", second["activationId"]: "2", third["activationId"]: "3"}[a["activationId"]])
			if hasLogs := a["logs"] != nil; hasLogs != strings.Contains(query, "docs=true") {
				t.Errorf("%s: logs are there: %v", query, hasLogs)
			}
		}
		return strings.Join(names, " ")
	}
	since, upto := fmt.Sprint("since=", second["start"]), fmt.Sprint("upto=", second["start"])
	for query, want := range map[string]string{
		"": "3 2 1", "?limit=1": "3", "?skip=1": "2 1", "?name=a": "3 1", "?docs=true&name=b": "2",
		"?" + since: "3 2", "?" + upto: "2 1", "?" + since + "&" + upto: "2",
	} {
		if got := ids(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := h.want(200, "GET", ns+"activations?count=true&name=a", ""); fmt.Sprint(got) != "map[activations:2]" {
		t.Errorf("count: %v", got)
	}
	id := second["activationId"].(string)
	if res := h.call("GET", ns+"activations/"+id+"/result", ""); string(res.body) != `{"result":[7],"status":"success","success":true}` {
		t.Errorf("result: %s", res.body)
	}
	logs := h.want(200, "GET", ns+"activations/"+first["activationId"].(string)+"/logs", "")
	if fmt.Sprint(logs["logs"]) != fmt.Sprint(first["logs"]) || len(logsOf(logs)) != 3 {
		t.Errorf("logs: %v", logs)
	}
}

func TestTriggerWithARule(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("value", "value", "")
	h.want(200, "PUT", ns+"triggers/t", `{"parameters":[{"key":"a","value":1},{"key":"b","value":1}]}`)
	if res := h.call("POST", ns+"triggers/t", `{}`); res.status != 204 {
		t.Errorf("fired without a rule: %d %s", res.status, res.body)
	}
	rule := h.want(200, "PUT", ns+"rules/r", `{"name":"r","trigger":"/_/t","action":"/guest/value"}`)
	if rule["status"] != "active" || fmt.Sprint(rule["trigger"], rule["action"]) != "map[name:t path:guest] map[name:value path:guest]" {
		t.Errorf("rule: %v", rule)
	}
	trigger := h.want(200, "GET", ns+"triggers/t", "")
	if at(trigger, "rules", "guest/r", "status") != "active" || at(trigger, "rules", "guest/r", "action", "name") != "value" {
		t.Errorf("trigger: %v", trigger)
	}
	fired := h.want(202, "POST", ns+"triggers/t", `{"b":2,"n":12345678901234567890}`)
	rec := h.want(200, "GET", ns+"activations/"+fired["activationId"].(string), "")
	var line map[string]any
	if logs := logsOf(rec); len(logs) != 1 || json.Unmarshal([]byte(logs[0]), &line) != nil {
		t.Fatalf("the trigger's record: %v", rec)
	}
	if line["rule"] != "guest/r" || line["action"] != "guest/value" || line["success"] != true {
		t.Errorf("the record's line: %v", line)
	}
	var run response
	eventually(t, "the action's record", func() bool {
		run = h.call("GET", ns+"activations/"+fmt.Sprint(line["activationId"])+"/result", "")
		return run.status == 200
	})
	if want := `{"result":{"a":1,"b":2,"n":12345678901234567890},"status":"success","success":true}`; string(run.body) != want {
		t.Errorf("the action's result: %s, want %s", run.body, want)
	}
	h.call("POST", ns+"rules/r", `{"status":"inactive"}`)
	if got := h.want(200, "GET", ns+"rules/r", ""); got["status"] != "inactive" {
		t.Errorf("rule: %v", got)
	}
	if res := h.call("POST", ns+"triggers/t", ""); res.status != 204 {
		t.Errorf("fired with an inactive rule: %d", res.status)
	}
	h.want(200, "DELETE", ns+"triggers/t", "")
	if got := h.want(404, "POST", ns+"rules/r", `{"status":"active"}`); got["error"] != "Only rules with existing triggers can be activated" {
		t.Errorf("activating without a trigger: %v", got)
	}
	h.want(200, "DELETE", ns+"rules/r", "")
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.action("hello", "x", "")
	id := h.invoke(200, "hello", "")["activationId"].(string)
	auth := h.auth
	h.done()
	h = open(t, dir, nil)
	if h.auth != auth {
		t.Errorf("the key changed")
	}
	h.want(200, "GET", ns+"activations/"+id, "")
	h.invoke(200, "hello", "")
	h.done()

	if err := os.Remove(filepath.Join(dir, "wskprops")); err != nil {
		t.Fatal(err)
	}
	h = open(t, dir, nil)
	if h.auth == auth {
		t.Fatalf("the deleted key came back")
	}
	h.invoke(200, "hello", "")
	r := h.request("GET", ns+"actions", "")
	r.SetBasicAuth(auth[0], auth[1])
	h.wantJSON(401, h.send(r))
}

func TestAlwaysTrue9TheKeyIsInOneFileOnly(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	h := open(t, dir, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h.action("hello", "x", "")
	h.invoke(200, "hello", `{"secret":"parameter-value"}`)
	h.done()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if has := bytes.Contains(data, []byte(h.auth[1])); has != (e.Name() == "wskprops") {
			t.Errorf("%s has the key: %v", e.Name(), has)
		}
		if info, _ := e.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", e.Name(), info.Mode())
		}
	}
	for _, secret := range []string{h.auth[1], "parameter-value"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("a secret was logged")
		}
	}
	if !strings.Contains(log.String(), "a new API key was made") {
		t.Errorf("it was not said that a key was made: %s", log.String())
	}
}

func BenchmarkBlockingInvoke(b *testing.B) {
	h := open(b, b.TempDir(), nil)
	h.action("value", "value", "")
	h.invoke(200, "value", "{}")
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	b.ReportAllocs()
	for b.Loop() {
		if res := h.call("POST", ns+"actions/value?blocking=true", `{"name":"bench"}`); res.status != 200 {
			b.Fatalf("%d: %s", res.status, res.body)
		}
	}
}

func BenchmarkBlockingInvokeParallel(b *testing.B) {
	h := open(b, b.TempDir(), func(c *Config) { c.Invoker.Memory = 8 * 256 })
	h.action("value", "value", "")
	h.invoke(200, "value", "{}")
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if res := h.call("POST", ns+"actions/value?blocking=true", `{"name":"bench"}`); res.status != 200 {
				b.Errorf("%d: %s", res.status, res.body)
			}
		}
	})
}
