package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// forwardTheirWay is the client mode of OpenServerless's runtimes as an invoker has it before it: what it
// posts is decoded, encoded anew, and forwarded by a reverse proxy, which keeps its connections; of a good answer
// to a run the response is passed on and the logs are kept.
func forwardTheirWay(t *testing.T, c *theirClient, logs func(out, err string)) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: c.addr}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/run" {
				return nil
			}
			var a theirAnswer
			if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
				return err
			}
			logs(a.Out, a.Err)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(a.Response)), int64(len(a.Response))
			resp.Header.Set("Content-Length", strconv.Itoa(len(a.Response)))
			return nil
		},
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := c.rewrite(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h.URL
}

// rewrite returns the body that their client makes of an invoker's.
func (c *theirClient) rewrite(r *http.Request) ([]byte, error) {
	var changed any
	if r.URL.Path == "/init" {
		var body theirInit
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		body.ProxiedActionID = c.id
		body.Value.Main, _, _ = strings.Cut(body.Value.Main, "@")
		body.Value.Env["__OW_CODE_HASH"] = c.hash
		changed = body
	} else {
		var body struct {
			ActionCodeHash string         `json:"actionCodeHash,omitempty"`
			Value          map[string]any `json:"value,omitempty"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		body.ActionCodeHash = c.hash
		changed = body
	}
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(changed)
	return b.Bytes(), err
}

// An invoker speaks to their client, and their client to our server.
func TestOpenServerlessForwardedByTheirClient(t *testing.T) {
	_, addr := startOpenServerless(t, t.TempDir())
	c := newTheirClient(t, addr, false)
	c.hash = "the-md5-of-it"
	var out, err string
	at := forwardTheirWay(t, c, func(o, e string) { out, err = o, e })
	post := func(path, body string) (int, string) {
		t.Helper()
		resp, problem := http.Post(at+path, "application/json", strings.NewReader(body))
		if problem != nil {
			t.Fatal(problem)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if resp.ContentLength != int64(len(text)) {
			t.Errorf("%s: length %d of %d", path, resp.ContentLength, len(text))
		}
		return resp.StatusCode, string(text)
	}
	env := map[string]string{"X": "y", "__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f", "__OW_DEADLINE": strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)}
	if status, b := post("/init", initBody("main@http://"+addr, theirCode["python:3"], env)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	for _, id := range []string{"1", "2", "3"} {
		status, b := post("/run", runBody(`{"id":"`+id+`"}`, "activation", time.Now().Add(time.Minute)))
		if status != 200 || compact(t, b) != `{"args":{"id":"`+id+`"},"x":"y","namespace":"guest"}` {
			t.Errorf("/run: %d %s", status, b)
		}
		if out != "out of "+id+"\n"+guard+"\n" || err != "err of "+id+"\n"+guard+"\n" {
			t.Errorf("the logs are %q and %q", out, err)
		}
	}
	if status, b := post("/run", runBody(`{"id":"4","exit":1}`, "activation", time.Now().Add(time.Minute))); status != 502 || !strings.Contains(b, "out of 4") {
		t.Errorf("a crash: %d %s", status, b)
	}
	if status, b := post("/run", runBody(`{}`, "activation", time.Now().Add(time.Minute))); status != 200 {
		t.Errorf("after it: %d %s", status, b)
	}
}
