package test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A theirClient does what the client mode of OpenServerless's runtimes does, written
// from its contract: a UUID of its own, the md5 of the code, a new connection for
// each request, and the answer taken apart.
type theirClient struct {
	t    *testing.T
	addr string
	id   string
	hash string
	byID bool // a version that names the action by proxiedActionID in /run
}

// Their structs, in their order.
type (
	theirInit struct {
		ProxiedActionID string         `json:"proxiedActionID,omitempty"`
		Value           theirInitValue `json:"value,omitempty"`
	}
	theirInitValue struct {
		Code   string            `json:"code,omitempty"`
		Binary bool              `json:"binary,omitempty"`
		Main   string            `json:"main,omitempty"`
		Env    map[string]string `json:"env,omitempty"`
	}
	theirRun struct {
		ProxiedActionID string          `json:"proxiedActionID,omitempty"`
		ActionCodeHash  string          `json:"actionCodeHash,omitempty"`
		Value           json.RawMessage `json:"value,omitempty"`
		Deadline        string          `json:"deadline,omitempty"` // not theirs: for clients that pass it on
	}
	theirAnswer struct {
		Response json.RawMessage `json:"response"`
		Out      string          `json:"out"`
		Err      string          `json:"err"`
		Error    string          `json:"error"`
		status   int
	}
)

func newTheirClient(t *testing.T, addr string, byID bool) *theirClient {
	b := make([]byte, 16)
	rand.Read(b)
	return &theirClient{t: t, addr: addr, id: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), byID: byID}
}

// init sends the code; main is as in --main, without the place.
func (c *theirClient) init(main, code string, env map[string]string) theirAnswer {
	c.t.Helper()
	sum := md5.Sum([]byte(code))
	c.hash = hex.EncodeToString(sum[:])
	all := map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f", "__OW_CODE_HASH": c.hash}
	for name, value := range env {
		all[name] = value
	}
	return c.post(context.Background(), "/init", theirInit{c.id, theirInitValue{Code: code, Main: main, Env: all}})
}

func (c *theirClient) mustInit(main, code string, env map[string]string) {
	c.t.Helper()
	if a := c.init(main, code, env); a.status != 200 {
		c.t.Fatalf("/init: %d %s", a.status, a.Error)
	}
}

func (c *theirClient) run(value string) theirAnswer {
	c.t.Helper()
	return c.runUntil(context.Background(), value, "")
}

// runUntil runs with a deadline in epoch milliseconds; the client leaves when ctx ends.
func (c *theirClient) runUntil(ctx context.Context, value, deadline string) theirAnswer {
	c.t.Helper()
	r := theirRun{Value: json.RawMessage(value), Deadline: deadline}
	if c.byID {
		r.ProxiedActionID = c.id
	} else {
		r.ActionCodeHash = c.hash
	}
	return c.post(ctx, "/run", r)
}

// want checks the response of a run.
func (a theirAnswer) want(t *testing.T, response string) {
	t.Helper()
	if a.status != 200 || string(a.Response) != response {
		t.Errorf("%d %s %s, want %s", a.status, a.Response, a.Error, response)
	}
}

func (c *theirClient) stop() theirAnswer {
	c.t.Helper()
	return c.post(context.Background(), "/stop", map[string]string{"actionCodeHash": c.hash, "proxiedActionID": c.id})
}

func (c *theirClient) post(ctx context.Context, path string, body any) theirAnswer {
	c.t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		c.t.Error(err)
		return theirAnswer{}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+path, &b)
	if err != nil {
		c.t.Error(err)
		return theirAnswer{}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			c.t.Error(err)
		}
		return theirAnswer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	a := theirAnswer{status: resp.StatusCode}
	if err != nil || json.Unmarshal(text, &a) != nil || resp.ContentLength != int64(len(text)) {
		c.t.Errorf("%s: %d %q, length %d, %v", path, resp.StatusCode, text, resp.ContentLength, err)
	}
	return a
}

// logs returns what a run printed on both streams, which must end with the guard line.
func (a theirAnswer) logs(t *testing.T) (out, err string) {
	t.Helper()
	out, ok := strings.CutSuffix(a.Out, guard+"\n")
	err, ok2 := strings.CutSuffix(a.Err, guard+"\n")
	if !ok || !ok2 || strings.Contains(out+err, guard) {
		t.Errorf("the logs are %q and %q", a.Out, a.Err)
	}
	return out, err
}
