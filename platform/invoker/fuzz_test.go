package invoker

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// FuzzBodies checks that what is posted to a container says what the action says,
// whatever texts are in it, and that the arguments pass byte for byte.
func FuzzBodies(f *testing.F) {
	f.Add("guest", "pack", "hello", "main@gpu", "A", "ü\n<&>\u2028", "key:secret", "def main(a): pass", []byte(`{"n":1e400}`))
	f.Add("a\"b", "\\", "\x7f", "\x00", "", "", "", "", []byte("[]"))
	f.Fuzz(func(t *testing.T, namespace, pkg, name, main, envName, envValue, key, code string, args []byte) {
		if !utf8.ValidString(strings.Join([]string{namespace, pkg, name, main, envName, envValue, key, code}, " ")) || !json.Valid(args) {
			t.Skip("the API lets neither through")
		}
		run := &bus.Run{
			ActivationID: name, Transaction: pkg, Namespace: namespace, APIKey: key, Args: args,
			Action: bus.Action{Namespace: namespace, Package: pkg, Name: name, Main: main, Env: map[string]string{envName: envValue}},
		}
		deadline := time.UnixMilli(12345)
		body := bytes.Join(runBody(run, deadline), nil)
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		for field, want := range map[string]string{
			"namespace": namespace, "action_name": run.Action.FullName(), "activation_id": name, "transaction_id": pkg, "deadline": "12345",
		} {
			if got := textOf(fields[field]); got != want {
				t.Errorf("%s is %q, want %q", field, got, want)
			}
		}
		if _, there := fields["api_key"]; there != (key != "") || textOf(fields["api_key"]) != key {
			t.Errorf("the key is %s, want %q", fields["api_key"], key)
		}
		if !bytes.Contains(body, args) || !bytes.Equal(bytes.TrimSpace(fields["value"]), bytes.TrimSpace(args)) {
			t.Errorf("the arguments %q became %q", args, fields["value"])
		}
		checkInitBody(t, run, code, envName, envValue)
	})
}

func textOf(raw json.RawMessage) (text string) {
	json.Unmarshal(raw, &text)
	return text
}

func checkInitBody(t *testing.T, run *bus.Run, code, envName, envValue string) {
	t.Helper()
	body, err := initBody(run, code, time.UnixMilli(12345))
	if err != nil {
		t.Fatal(err)
	}
	var posted struct {
		Value struct {
			Name, Main, Code string
			Env              map[string]string
		}
	}
	if err := json.Unmarshal(body, &posted); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	v := posted.Value
	if v.Name != run.Action.Name || v.Main != run.Action.Main || v.Code != code || v.Env["__OW_NAMESPACE"] != run.Namespace || v.Env["__OW_API_KEY"] != run.APIKey {
		t.Errorf("%+v became %+v", run, v)
	}
	if len(envName) < 5 || envName[:5] != "__OW_" {
		if v.Env[envName] != envValue {
			t.Errorf("%s=%q became %q", envName, envValue, v.Env[envName])
		}
	}
}

// FuzzJudge checks that whatever a container answers becomes a record that can be
// read: JSON in UTF-8, and a success only for an object or an array.
func FuzzJudge(f *testing.F) {
	f.Add(200, []byte(`{"a":1}`), false)
	f.Add(200, []byte(`[1]`), false)
	f.Add(200, []byte(`{"error":{"code":1}}`), false)
	f.Add(200, []byte(`{"er\u0072or":1}`), false)
	f.Add(200, []byte("{\"a\":\"\xff\"}"), false)
	f.Add(502, []byte(`{"error":"it failed"}`), false)
	f.Add(502, []byte("half a \xc3"), true)
	f.Add(204, []byte(nil), false)
	f.Fuzz(func(t *testing.T, status int, body []byte, truncated bool) {
		ans := answer{status: status, body: body, length: int64(len(body)), truncated: truncated}
		v := judgeRun(ans, 100)
		if !json.Valid(v.result) || !utf8.Valid(v.result) {
			t.Fatalf("%d %q became %q", status, body, v.result)
		}
		var object map[string]json.RawMessage
		var list []json.RawMessage
		isObject := json.Unmarshal(v.result, &object) == nil && object != nil
		isList := json.Unmarshal(v.result, &list) == nil && list != nil
		_, failed := object["error"]
		if success := v.status == store.StatusSuccess; success && (status != 200 || truncated || !isObject && !isList || failed) || !success && !failed {
			t.Errorf("%d %q, truncated: %v, became %d %s", status, body, truncated, v.status, v.result)
		}
		trimmed := bytes.TrimSpace(body)
		var given map[string]json.RawMessage
		if status == 200 && !truncated && utf8.Valid(body) && json.Unmarshal(trimmed, &given) == nil && given != nil {
			if _, failed := given["error"]; !failed && !bytes.Equal(v.result, trimmed) {
				t.Errorf("%q became %q", body, v.result)
			}
		}
		if v, ok := judgeInit(ans, 100); !ok && (!json.Valid(v.result) || v.status == store.StatusSuccess) || ok && status != 200 {
			t.Errorf("/init: %d %q became %+v", status, body, v)
		}
	})
}
