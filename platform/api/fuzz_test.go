package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A fuzzedAPI is the API over a real controller and a real store. Of the platform
// only the invoker is fake: it answers each run with its arguments.
type fuzzedAPI struct {
	api *API
	log bytes.Buffer // requests do not overlap
	// silent says that the invoker takes runs, and never tells their ends.
	silent atomic.Bool
}

// The two who have keys.
const (
	guest = "guest"
	other = "other"
)

func newFuzzedAPI(t testing.TB) *fuzzedAPI {
	t.Helper()
	f := &fuzzedAPI{}
	log := slog.New(slog.NewTextHandler(&f.log, nil))
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "platform.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{guest, other} {
		sub := store.Subject{UUID: who, Name: who, Namespace: who, KeyHash: controller.HashKey("key-of-" + who)}
		if err := st.SetSubject(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	bounds := bus.Bounds{Messages: 1000, Bytes: 64 << 20}
	runs, completed := bus.NewMemory[*bus.Run](bounds), bus.NewMemory[*bus.Completed](bounds)
	codec, err := bus.NewRunCodec(make([]byte, bus.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	c, err := controller.New(controller.Config{Name: "c", Limits: controller.DefaultLimits(), Kinds: controller.DefaultKinds(), Codec: codec}, st, runs, completed, log)
	if err != nil {
		t.Fatal(err)
	}
	var invoker sync.WaitGroup
	sub, err := runs.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	invoker.Go(func() { fakeInvoker(sub, completed, &f.silent) })
	t.Cleanup(func() {
		runs.Close()
		invoker.Wait()
		if err := c.Close(completed.Close()); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	f.api = New(c, "2026", log)
	return f
}

func fakeInvoker(runs bus.Subscription[*bus.Run], completed bus.Topic[*bus.Completed], silent *atomic.Bool) {
	for {
		d, err := runs.Receive(context.Background())
		if err != nil {
			return
		}
		run := d.Message.Body
		done := &bus.Completed{ActivationID: run.ActivationID, Head: []byte(`{"activationId":"x"}`), Response: []byte(`{"status":"success"}`), Result: run.Args, Logs: []byte("[]")}
		if !json.Valid(run.Args) {
			done.Status, done.Result = store.StatusWhiskError, []byte(`{"error":"the arguments are not JSON"}`)
		}
		if !silent.Load() {
			completed.Publish(context.Background(), bus.Message[*bus.Completed]{Body: done})
		}
		d.Ack(context.Background())
	}
}

// ask sends a request as it would come from a socket; nil: it is no HTTP.
func (f *fuzzedAPI) ask(method, target, who string, body []byte) *httptest.ResponseRecorder {
	raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil
	}
	if who != "" {
		r.SetBasicAuth(who, "key-of-"+who)
	}
	rec := httptest.NewRecorder()
	f.api.ServeHTTP(rec, r)
	return rec
}

const keptPath = prefix + "/namespaces/_/actions/kept"

// keep makes an action of the other one's, and returns what is told of it.
func (f *fuzzedAPI) keep(t testing.TB) string {
	t.Helper()
	rec := f.ask("PUT", keptPath, other, []byte(`{"exec":{"kind":"python:3","code":"secret of the other"},"parameters":[{"key":"a","value":1}]}`))
	if rec == nil || rec.Code != http.StatusOK {
		t.Fatalf("a good PUT is answered with %v", rec)
	}
	return rec.Body.String()
}

// FuzzAPI asks for anything, with a good key and without. Errors say what and are
// never the platform's own, nothing without a key is told, and somebody else's
// action stays as it was, unseen, and goes on answering.
func FuzzAPI(f *testing.F) {
	put := []byte(`{"exec":{"kind":"python:3","code":"x","main":"m@gpu"},"limits":{"timeout":1000},"parameters":[{"key":"k"},{"key":"i","value":{},"init":true}],"annotations":[{"key":"web-export","value":true}],"version":"1.2.3"}`)
	for _, s := range []struct {
		method, rest string
		body         []byte
	}{
		{"PUT", "actions/a?overwrite=true", put}, {"POST", "actions/a?blocking=true&result=true", []byte(`{"b":1e400}`)}, {"GET", "actions/a?code=false", nil},
		{"PUT", "packages/p", []byte(`{"parameters":[{"key":"k","value":[1]}],"publish":true}`)}, {"PUT", "actions/p/b", put}, {"POST", "actions/p/b?blocking=true", []byte("{}")},
		{"PUT", "actions/s?overwrite=true", []byte(`{"exec":{"kind":"sequence","components":["/_/a","/_/p/b"]}}`)}, {"POST", "actions/s?blocking=true", []byte("{}")},
		{"PUT", "packages/bound", []byte(`{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"k","value":2}]}`)}, {"POST", "actions/bound/b", []byte("{}")}, {"GET", "actions/bound/", nil},
		{"PUT", "triggers/t", []byte(`{"annotations":[{"key":"feed","value":"x"}]}`)}, {"PUT", "rules/r", []byte(`{"trigger":"/_/t","action":"/_/a"}`)}, {"POST", "triggers/t", []byte(`{"x":1}`)},
		{"POST", "rules/r", []byte(`{"status":"inactive"}`)}, {"DELETE", "packages/p?force=true", nil}, {"GET", "activations?limit=1&skip=0&since=1&docs=true", nil},
		{"GET", "activations/" + strings.Repeat("0", 32) + "/logs", nil}, {"GET", "limits", nil}, {"OPTIONS", "actions", nil}, {"DELETE", "actions/%61", nil},
	} {
		f.Add(s.method, prefix+"/namespaces/_/"+s.rest, s.body, true)
		f.Add(s.method, prefix+"/namespaces/other/"+s.rest, s.body, false)
	}
	web := []byte(`{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"web-export","value":true}]}`)
	f.Add("PUT", prefix+"/namespaces/_/actions/w", web, true)
	f.Add("PUT", prefix+"/namespaces/_/actions/raw", []byte(strings.Replace(string(web), `}]}`, `},{"key":"raw-http","value":true}]}`, 1)), true)
	for _, target := range []string{
		"/web/guest/default/w?body=x&statusCode=201", "/web/guest/default/w.json/a%2Fb?headers=x", "/web/guest/default/w.text?text=1", "/web/guest/default/raw.html?html=x&__ow_path=y",
		"/web/other/default/kept.http", "/web/guest/p/b.svg", "/web/whisk.system/apimgmt/getApi.http?basepath=/a&limit=1", "/web/whisk.system/apimgmt/deleteApi?basepath=/a&relpath=/b&operation=get",
	} {
		f.Add("POST", prefix+target, []byte(`{"body":"x","headers":{"a":"b"}}`), true)
		f.Add("GET", prefix+target, []byte(nil), false)
	}
	f.Add("POST", prefix+"/web/whisk.system/apimgmt/createApi?responsetype=http", []byte(`{"apidoc":{"namespace":"_","gatewayBasePath":"/a","gatewayPath":"/{id}","gatewayMethod":"get","action":{"name":"w","namespace":"_"}}}`), true)
	f.Add("POST", prefix+"/web/whisk.system/apimgmt/createApi", []byte(`{"apidoc":{"namespace":"_","swagger":{"basePath":"/s","info":{},"paths":{"/x":{"get":{"x-openwhisk":{"namespace":"_","action":"w"}}}}}}}`), true)
	f.Add("GET", "/api/guest/a/7", []byte(nil), false)
	f.Add("OPTIONS", "/api/guest/s/x", []byte(nil), false)
	f.Add("GET", "/", []byte(nil), false)
	f.Add("GET", prefix, []byte(nil), false)
	h := newFuzzedAPI(f)
	kept := h.keep(f)
	f.Fuzz(func(t *testing.T, method, target string, body []byte, withKey bool) {
		who := ""
		if withKey {
			who = guest
		}
		if rec := h.ask(method, target, who, body); rec != nil {
			asked := fmt.Sprintf("%s %s %q, key: %v", method, target, body, withKey)
			if path, _, _ := strings.Cut(target, "?"); strings.HasPrefix(path, webPrefix) || isGatewayPath(path) {
				checkWebAnswer(t, asked, rec)
			} else {
				checkAnswer(t, asked, rec, withKey)
			}
		}
		h.log.Reset()
		if rec := h.ask("GET", keptPath, other, nil); rec.Code != http.StatusOK || rec.Body.String() != kept {
			t.Errorf("after %s %s %q the other one's action is %d %s", method, target, body, rec.Code, rec.Body)
		}
		want := fmt.Sprintf(`{"a":1,"n":%d}`, len(body))
		if rec := h.ask("POST", keptPath+"?blocking=true&result=true", other, []byte(want[:1]+want[7:])); rec.Code != http.StatusOK || rec.Body.String() != want {
			t.Errorf("after %s %s %q the other one's action answers %d %s", method, target, body, rec.Code, rec.Body)
		}
	})
}

// checkWebAnswer checks what needs no key, and may be anything that guest's actions say.
func checkWebAnswer(t *testing.T, asked string, rec *httptest.ResponseRecorder) {
	t.Helper()
	text := rec.Body.String()
	if strings.Contains(text, "secret of the other") || rec.Code < 200 || rec.Code > 599 {
		t.Errorf("%s: it tells %d %s", asked, rec.Code, text)
	}
	if rec.Code == http.StatusInternalServerError && strings.Contains(text, "internal server error") {
		t.Errorf("%s: %s", asked, text)
	}
}

func checkAnswer(t *testing.T, asked string, rec *httptest.ResponseRecorder, withKey bool) {
	t.Helper()
	text := rec.Body.String()
	if strings.Contains(text, "secret of the other") {
		t.Errorf("%s: it tells %s", asked, text)
	}
	if length := rec.Header().Get("Content-Length"); rec.Code != http.StatusNoContent && length != strconv.Itoa(len(text)) {
		t.Errorf("%s: Content-Length %q of %d", asked, length, len(text))
	}
	if text != "" && !json.Valid(rec.Body.Bytes()) {
		t.Errorf("%s: %d %q is not JSON", asked, rec.Code, text)
	}
	if rec.Code < 400 {
		open := strings.HasPrefix(text, `{"api_paths"`) || strings.HasPrefix(text, `{"api_version"`) || text == ""
		if !withKey && !open {
			t.Errorf("%s: without a key it tells %d %s", asked, rec.Code, text)
		}
		return
	}
	if rec.Code == http.StatusBadGateway && rec.Header().Get(headerActivation) != "" {
		return // a sequence that went wrong: the record or the result
	}
	var e struct{ Error, Code string }
	if json.Unmarshal(rec.Body.Bytes(), &e) != nil || e.Error == "" || e.Code == "" || rec.Code >= 500 {
		t.Errorf("%s: %d %s", asked, rec.Code, text)
	}
}
