package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/function"
)

// FuzzInitBody sends arbitrary bodies to /init. What is refused says why, leaves
// nothing on disk, and leaves the runtime as it was: a good /init follows. What is
// taken is JSON, and the host gets the code that encoding/json finds in it.
func FuzzInitBody(f *testing.F) {
	f.Add([]byte(goodInit))
	f.Add([]byte(`{"value":{"code":"AAEC/w==","binary":true,"main":"x@gpu&memory=1g","env":{"N":1,"A":"ü"}}}`))
	f.Add([]byte(`{"value":{"code":"a\u00e9\ud83d\ude00\n","env":{"__OW_ACTION_NAME":"/n/p/a","__OW_DEADLINE":"1"}}}`))
	f.Add([]byte(`{"value":{"name":"x","code":"a","code":"b"}}`))
	f.Add([]byte(`{"value":{"code":"AAA","binary":true}}`))
	f.Add([]byte(`{"value":{"code":"a","main":"main@"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		host, dir := newFakeHost(), t.TempDir()
		r := New(Config{
			Local:  func(context.Context) (function.Host, error) { return host, nil },
			Remote: func(context.Context, *function.Target) (function.Host, error) { return host, nil },
			Kind:   "python:3", Dir: dir,
		})
		rec := post(r, "/init", body)
		if rec.Code == http.StatusOK {
			taken(t, host, body)
		} else {
			refused(t, rec, body)
			if files := kept(dir); len(files) != 0 {
				t.Errorf("%q: %d files are left", body, len(files))
			}
			if rec := post(r, "/init", []byte(goodInit)); rec.Code != http.StatusOK {
				t.Errorf("after %q a good /init is answered with %d %s", body, rec.Code, rec.Body)
			}
		}
		if rec := post(r, "/run", []byte(`{"value":{}}`)); rec.Code != http.StatusOK || rec.Body.String() != `{"value":{}}` {
			t.Errorf("after %q a run is answered with %d %s", body, rec.Code, rec.Body)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if files := kept(dir); len(files) != 0 {
			t.Errorf("%q: %d files are left at the end", body, len(files))
		}
	})
}

func post(r *Runtime, path string, body []byte) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	return rec
}

// taken checks what the host got.
func taken(t *testing.T, host *fakeHost, body []byte) {
	t.Helper()
	if !json.Valid(body) {
		t.Fatalf("%q is not JSON, but was taken", body)
	}
	if len(host.specs) != 1 || host.specs[0].Check() != nil {
		t.Fatalf("%q: the host got %+v", body, host.specs)
	}
	spec := host.specs[0]
	want, once := slowCode(body)
	if !spec.Binary && once && utf8.Valid(body) && string(host.codes[spec.Code]) != want {
		t.Errorf("%q: the host got the code %q, want %q", body, host.codes[spec.Code], want)
	}
	for name := range spec.Env {
		if strings.HasPrefix(name, "__OW_") {
			t.Errorf("%q: %s is taken for the function's own", body, name)
		}
	}
}

// refused checks the answer to a body that was not taken.
func refused(t *testing.T, rec *httptest.ResponseRecorder, body []byte) {
	t.Helper()
	var e struct{ Error string }
	if json.Unmarshal(rec.Body.Bytes(), &e) != nil || e.Error == "" || rec.Code == http.StatusServiceUnavailable || rec.Code < 400 {
		t.Errorf("%q: %d %q", body, rec.Code, rec.Body)
	}
}

// slowCode returns value.code, and false where a field is there twice.
func slowCode(body []byte) (string, bool) {
	var v any
	json.Unmarshal(body, &v)
	once, _ := json.Marshal(v) // a field that was there twice is there once
	if bytes.Count(body, []byte(":")) > bytes.Count(once, []byte(":")) {
		return "", false
	}
	var top, value map[string]json.RawMessage
	var code string
	json.Unmarshal(body, &top)
	json.Unmarshal(top["value"], &value)
	json.Unmarshal(value["code"], &code)
	return code, true
}
