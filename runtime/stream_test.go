package runtime

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// ask sends a /run whose caller accepts a stream.
func (g *rig) ask(ctx context.Context, accept, body string) *http.Response {
	g.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", g.url+"/run", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func streamed(outcome function.Outcome, text string) function.Summary {
	return function.Summary{Outcome: outcome, Error: text, Stream: outcome == function.OutcomeOK}
}

func end(outcome string, items int) string {
	return fmt.Sprintf("event: end\ndata: {\"outcome\":%q,\"stream\":true,\"items\":%d}\n\n", outcome, items)
}

// plainEnd is the end of what is no stream, or did not come to its end.
func plainEnd(outcome string, items int) string {
	return strings.Replace(end(outcome, items), `"stream":true,`, "", 1)
}

func TestStreams(t *testing.T) {
	whole := streamed(function.OutcomeOK, "")
	const notDictionary = `{"error":"The action did not return a dictionary or array."}`
	for _, c := range []struct {
		name          string
		run           runFunc
		status        int
		events, lines string
	}{
		{"items", answering(whole, `31`, `1log`, `3{"n":12345678901234567890}`), 200,
			"data: 1\n\ndata: {\"n\":12345678901234567890}\n\n" + end("ok", 2), "1\n{\"n\":12345678901234567890}\n"},
		{"no item", answering(whole), 200, end("ok", 0), ""},
		{"a plain result", answering(okSummary(), `3{"a":1}`), 200, "data: {\"a\":1}\n\n" + plainEnd("ok", 1), "{\"a\":1}\n"},
		{"answer", answering(whole, `31`, `3{"result":{"a":1}}`), 200, "data: 1\n\nevent: result\ndata: {\"result\":{\"a\":1}}\n\n" + end("ok", 2), "1\n{\"result\":{\"a\":1}}\n"},
		{"application error", answering(whole, `31`, `3{"error":"no"}`), 200, "data: 1\n\nevent: error\ndata: {\"error\":\"no\"}\n\n" + end("application_error", 2), "1\n{\"error\":\"no\"}\n"},
		{"crashed", answering(streamed(function.OutcomeCrashed, "It exited."), `31`), 200,
			"data: 1\n\nevent: error\ndata: {\"error\":\"The action ended without an answer. It exited.\"}\n\n" + plainEnd("crashed", 1), "1\n{\"error\":\"The action ended without an answer. It exited.\"}\n"},
		{"crashed before", answering(streamed(function.OutcomeCrashed, "")), 502, `{"error":"The action ended without an answer."}`, `{"error":"The action ended without an answer."}`},
		{"refused", refusing(function.CodeNoCapacity, "no GPU"), 502, `{"error":"The action could not run: no GPU"}`, `{"error":"The action could not run: no GPU"}`},
		{"plain text", answering(okSummary(), `3"a"`), 200, "data: \"a\"\n\nevent: error\ndata: " + notDictionary + "\n\n" + plainEnd("developer_error", 1), "\"a\"\n" + notDictionary + "\n"},
		{"no result", answering(okSummary()), 502, notDictionary, notDictionary},
		{"too large", answering(whole, `31`, `3"`+strings.Repeat("x", 100)+`"`), 200,
			"data: 1\n\nevent: error\ndata: {\"error\":\"The action's result is above the limit of 64 bytes.\"}\n\n" + plainEnd("too_large", 1), "1\n{\"error\":\"The action's result is above the limit of 64 bytes.\"}\n"},
		{"long in all", answering(whole, manyItems(50)...), 200, strings.Repeat("data: \"item\"\n\n", 50) + end("ok", 50), strings.Repeat("\"item\"\n", 50)},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, func(cfg *Config) { cfg.MaxResult = 64 })
			g.init()
			g.host.onRun = c.run
			for accept, want := range map[string]string{"text/event-stream": c.events, "application/x-ndjson": c.lines} {
				resp := g.ask(t.Context(), accept, `{"value":{}}`)
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != c.status || string(body) != want {
					t.Errorf("%s: %d, %v\n%s\nwant %d\n%s", accept, resp.StatusCode, err, body, c.status, want)
				}
				wantType, times := accept, resp.Trailer
				if c.status != 200 {
					wantType, times = "application/json", resp.Header
				}
				if resp.Header.Get("Content-Type") != wantType {
					t.Errorf("type %q", resp.Header.Get("Content-Type"))
				}
				if got := times.Get("Server-Timing"); !strings.Contains(got, "runtime;dur=") {
					t.Errorf("Server-Timing is %q", got)
				}
				if out := g.out.take(); strings.Count(out, guard) != 1 || !strings.HasSuffix(out, guard) {
					t.Errorf("stdout %q", out)
				}
				g.err.take()
			}
		})
	}
}

func manyItems(n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = `3"item"`
	}
	return items
}

// The one object of a stream is bound like any result.
func TestCollectedStreams(t *testing.T) {
	whole := streamed(function.OutcomeOK, "")
	for _, c := range []struct {
		run    runFunc
		status int
		body   string
	}{
		{answering(whole, `31`, `3{"result":{"a":1}}`), 200, `{"a":1}`},
		{answering(whole, `31`, `3{"error":"no"}`), 200, `{"error":"no"}`},
		{answering(whole, manyItems(7)...), 200, `{"items":["item","item","item","item","item","item","item"]}`},
		{answering(whole, manyItems(8)...), 502, `above the limit of 64 bytes`},
		{answering(whole, manyItems(50)...), 502, `above the limit of 64 bytes`},
	} {
		g := newRig(t, func(cfg *Config) { cfg.MaxResult = 64 })
		g.init()
		g.host.onRun = c.run
		g.run(`{}`).want(t, c.status, c.body)
	}
}

// Each item is at the caller before the next is made, and the guard lines are out
// before the answer ends.
func TestAStreamIsAnsweredAsItComes(t *testing.T) {
	g := newRig(t)
	g.init()
	seen := make(chan struct{})
	g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		for i := range 3 {
			out.Write(function.Stdout, []byte("log\n"))
			if err := out.Write(function.Result, fmt.Append(nil, i)); err != nil {
				return outcome(function.OutcomeCancelled, ""), nil
			}
			<-seen
		}
		return streamed(function.OutcomeOK, ""), nil
	}
	lines := bufio.NewReader(g.ask(t.Context(), "application/x-ndjson", `{}`).Body)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintln(i) {
			t.Fatalf("%q, %v", line, err)
		}
		seen <- struct{}{}
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	g.wantLogs("log\nlog\nlog\n"+guard, guard)
}

// An endless stream ends when its reader leaves, and when it does not read.
func TestReaderOfAStreamIsGone(t *testing.T) {
	endless := func(ended chan<- error) runFunc {
		return func(ctx context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
			item := []byte(`"` + strings.Repeat("x", 50<<10) + `"`)
			for {
				if err := out.Write(function.Result, item); err != nil {
					ended <- err
					return outcome(function.OutcomeCancelled, ""), nil
				}
			}
		}
	}
	t.Run("leaves", func(t *testing.T) {
		g := newRig(t)
		g.init()
		ended := make(chan error, 1)
		g.host.onRun = endless(ended)
		ctx, leave := context.WithCancel(t.Context())
		resp := g.ask(ctx, "text/event-stream", `{}`)
		io.CopyN(io.Discard, resp.Body, 1<<20)
		leave()
		<-ended
		g.out.await(t, guard)
	})
	t.Run("does not read", func(t *testing.T) {
		g := newRig(t)
		g.init()
		g.runtime.unread = 50 * time.Millisecond
		ended := make(chan error, 1)
		g.host.onRun = endless(ended)
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte("POST /run HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 2\r\n\r\n{}"))
		<-ended
		g.out.await(t, guard)
	})
}
