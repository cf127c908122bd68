package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/function"
)

// A doubtingHost is a Host that notes what may never reach one.
type doubtingHost struct {
	mu    sync.Mutex
	calls map[string]int
	wrong []string
}

// note counts a call, and keeps why it may not have come.
func (d *doubtingHost) note(call string, errs ...error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[call]++
	for _, err := range errs {
		if err != nil {
			d.wrong = append(d.wrong, call+": "+err.Error())
		}
	}
}

// take returns how many calls there were since the last take, and what was wrong.
func (d *doubtingHost) take() (calls map[string]int, wrong []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls, wrong = d.calls, d.wrong
	d.calls, d.wrong = map[string]int{}, nil
	return calls, wrong
}

func positive(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("a time of %v", d)
	}
	return nil
}

func (d *doubtingHost) PutCode(_ context.Context, namespace string, digest function.Digest, code io.Reader) error {
	text, err := io.ReadAll(code)
	if err == nil && function.DigestOf(text) == digest {
		d.note("put")
		return nil
	}
	d.note("put refused")
	if namespace == "" {
		d.note("put", fmt.Errorf("code for no namespace"))
	}
	return function.Errorf(function.CodeBadRequest, "not that code")
}

func (d *doubtingHost) Init(_ context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	d.note("init", spec.Check(), function.CheckLeaseID(lease.ID), positive(lease.TTL))
	return spec.ID(), nil
}

func (d *doubtingHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	d.note("run", function.CheckLeaseID(claim.Lease), positive(act.Timeout+1))
	return echo(ctx, id, claim, act, out)
}

func (d *doubtingHost) Renew(_ context.Context, _ function.ID, claim function.Claim, ttl time.Duration) error {
	d.note("renew", function.CheckLeaseID(claim.Lease), positive(ttl))
	return nil
}

func (d *doubtingHost) Stop(_ context.Context, _ function.ID, claim function.Claim) error {
	d.note("stop", function.CheckLeaseID(claim.Lease))
	return nil
}

func (d *doubtingHost) Watch(_ context.Context, report func(function.Status) error) error {
	d.note("watch")
	return report(function.Status{})
}

// A fuzzedHandler is a real handler behind a real socket.
type fuzzedHandler struct {
	host *doubtingHost
	addr string
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

func newFuzzedHandler(t testing.TB) *fuzzedHandler {
	t.Helper()
	f := &fuzzedHandler{host: &doubtingHost{calls: map[string]int{}}, log: &lockedBuffer{}, addr: filepath.Join(t.TempDir(), "s")}
	ln, err := net.Listen("unix", f.addr) // no ports to run out of
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	handler := NewHandler(HandlerConfig{
		Host: f.host, Auth: Static(Token{Secret: testSecret}), Log: log, Body: function.BodyLimits{Memory: 1 << 10, Max: 64 << 10},
	})
	serveOn(t, ln, handler, Server{Log: log})
	return f
}

// send sends raw bytes and closes the sending half. It returns the first answer that
// is not provisional; nil: there was none. The handler is done with all of it then: what
// follows in the bytes may be a request too.
func (f *fuzzedHandler) send(t *testing.T, raw []byte, method string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("unix", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(raw) // it may answer and close before it has read all
	conn.(*net.UnixConn).CloseWrite()
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			return nil, nil
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q was answered with what is not HTTP: %v", raw, err)
		}
		if resp.StatusCode < 200 {
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%q got half an answer, %d %q: %v", raw, resp.StatusCode, body, err)
		}
		if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q: the connection is not closed at its end", raw)
		}
		return resp, body
	}
}

// good are requests that must reach the host, one for each of its methods.
func good() map[string]string {
	const head = " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + testSecret + "\r\n"
	claim := "Whiskaway-Function: " + function.ID{1}.String() + "\r\nWhiskaway-Lease: l\r\n"
	spec, _ := json.Marshal(map[string]any{"spec": testSpec("x"), "lease": map[string]any{"id": "l", "ttl_ms": 5000}})
	return map[string]string{
		"put":   "PUT /code/" + function.DigestOf([]byte("x")).String() + head + "Whiskaway-Namespace: n\r\nContent-Length: 1\r\n\r\nx",
		"init":  "POST /init" + head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(spec), spec),
		"run":   "POST /run" + head + claim + "Whiskaway-Timeout: 1000\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"renew": "POST /renew" + head + claim + "Whiskaway-Ttl: 1000\r\nContent-Length: 0\r\n\r\n",
		"stop":  "POST /stop" + head + claim + "Content-Length: 0\r\n\r\n",
		"watch": "GET /status" + head + "Accept: application/x-ndjson\r\n\r\n",
	}
}

// The seeds of FuzzHandler are no use if they do not get far.
func TestGoodRequestsReachTheHost(t *testing.T) {
	f := newFuzzedHandler(t)
	for call, raw := range good() {
		resp, body := f.send(t, []byte(raw), "POST")
		if calls, wrong := f.host.take(); resp == nil || resp.StatusCode/100 != 2 || calls[call] != 1 || len(wrong) > 0 {
			t.Errorf("%s: %v %q, calls %v, wrong %v", call, resp, body, calls, wrong)
		}
	}
}

// FuzzHandler sends arbitrary bytes to the whole handler. Whatever they are: what is
// answered is HTTP, errors say what and that nothing was started, only sense reaches
// the host, nothing does without the token, and the next request is served as ever.
func FuzzHandler(f *testing.F) {
	for _, raw := range good() {
		f.Add([]byte(raw))
		f.Add([]byte(strings.Replace(raw, testSecret, "wrong", 1)))
		f.Add([]byte(raw[:len(raw)-1]))
	}
	h := newFuzzedHandler(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		asked, _ := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		method := http.MethodPost
		if asked != nil {
			method = asked.Method
		}
		resp, body := h.send(t, raw, method)
		calls, wrong := h.host.take()
		if len(wrong) > 0 {
			t.Errorf("%q: it reached the host: %v", raw, wrong)
		}
		if len(calls) > 0 && !bytes.Contains(raw, []byte(testSecret)) {
			t.Errorf("%q: %v without the token", raw, calls)
		}
		if log := h.log.take(); strings.Contains(log, "panic") {
			t.Errorf("%q: %s", raw, log)
		}
		if resp == nil && asked != nil {
			t.Errorf("%q was not answered", raw)
		}
		if resp != nil && first(resp.Header, headerVersion) != "" {
			checkAnswer(t, raw, asked, resp, body)
		}
		payload := fmt.Appendf(nil, `{"n":%d}`, len(raw))
		next := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", strings.SplitAfter(good()["run"], "1000\r\n")[0], len(payload), payload)
		if resp, body := h.send(t, []byte(next), "POST"); resp == nil || resp.StatusCode != 200 || !bytes.Contains(body, payload) {
			t.Errorf("after %q a good run is answered with %v %q", raw, resp, body)
		}
		if calls, _ := h.host.take(); calls["run"] != 1 {
			t.Errorf("after %q a good run is %v", raw, calls)
		}
	})
}

// checkAnswer checks an answer of the handler's own.
func checkAnswer(t *testing.T, raw []byte, asked *http.Request, resp *http.Response, body []byte) {
	t.Helper()
	switch {
	case resp.StatusCode >= 500:
		t.Errorf("%q: %d %q, but the host did not fail", raw, resp.StatusCode, body)
	case resp.StatusCode >= 400:
		var e refusal
		isHead := asked != nil && asked.Method == http.MethodHead
		if !isHead && (json.Unmarshal(body, &e) != nil || e.Code == "" || e.Error == "") || first(resp.Header, headerStarted) != "no" {
			t.Errorf("%q: %d %q %v", raw, resp.StatusCode, body, resp.Header)
		}
	case asked != nil && asked.URL.Path == "/run":
		want, err := io.ReadAll(asked.Body)
		var out recorder
		sum, ended := readFramesOf(bytes.NewReader(body), &out)
		if err != nil || !ended || sum.Outcome != function.OutcomeOK || out.text() != "3:"+string(want) {
			t.Errorf("%q: the body is %q, %v; the answer %q", raw, want, err, body)
		}
	}
}

// readFramesOf reads frames as simply as can be: what Client.Run must agree with.
func readFramesOf(r io.Reader, out *recorder) (last end, ended bool) {
	frames := function.NewFrameReader(r)
	for {
		s, p, err := frames.Next()
		if err != nil {
			return end{}, false
		}
		if s == function.End {
			err := json.Unmarshal(p, &last)
			return last, err == nil && last.Outcome != ""
		}
		if len(p) > 0 || s == function.Result {
			out.Write(s, p)
		}
	}
}

// FuzzClientRun answers a run with arbitrary bytes. Only an answer that says so may
// count as "never started", and only one with a whole end as an end.
func FuzzClientRun(f *testing.F) {
	var frames bytes.Buffer
	for s, p := range []string{`{"outcome":"ok"}`, "log\n", "", `{"a":1}`} {
		var h [function.FrameHeaderSize]byte
		function.PutFrameHeader(h[:], function.Stream(s), len(p))
		frames.Write(h[:])
		frames.WriteString(p)
	}
	endFrame := frames.Bytes()[:function.FrameHeaderSize+16]
	ordered := string(frames.Bytes()[len(endFrame):]) + string(endFrame)
	for _, raw := range []string{
		fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(ordered), ordered),
		fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(ordered), ordered),
		"HTTP/1.1 200 OK\r\n\r\n" + ordered,
		"HTTP/1.1 200 OK\r\n\r\n" + ordered[:len(ordered)-3],
		"HTTP/1.1 429 Too Many Requests\r\nWhiskaway-Started: no\r\nContent-Length: 30\r\n\r\n" + `{"error":"full","code":"busy"}`,
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got recorder
		sum, err := runAnswered(t, raw, &got)
		var want recorder
		last, ended, refused := readAnswer(raw, &want)
		switch {
		case err != nil:
			if !refused {
				t.Errorf("%q is taken for a refusal: %v", raw, err)
			}
		case sum.Outcome == function.OutcomeLost:
			// What is not sure is lost; the client may be stricter than net/http.
		case !ended || sum.Outcome != last.Outcome || !slices.Equal(got.frames, want.frames):
			t.Errorf("%q is read as %+v %q, but is %+v %q, ended: %v", raw, sum, got.frames, last.Summary, want.frames, ended)
		}
	})
}

// runAnswered sends a run to who answers with raw and then closes.
func runAnswered(t *testing.T, raw []byte, out function.Output) (function.Summary, error) {
	t.Helper()
	var peers sync.WaitGroup
	defer peers.Wait()
	c, err := NewClient(ClientConfig{URL: "http://127.0.0.1:1", DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		peers.Go(func() {
			defer there.Close()
			there.Read(make([]byte, 4<<10)) // the request comes in one write
			there.Write(raw)                // fails when the client has seen enough
		})
		return here, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Run(t.Context(), function.ID{1}, testClaim, activation("{}"), out)
}

// readAnswer reads an answer by net/http. refused: it says that nothing was started.
func readAnswer(raw []byte, out *recorder) (last end, ended, refused bool) {
	in := bufio.NewReader(bytes.NewReader(raw))
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			return end{}, false, false
		}
		if resp.StatusCode < 200 {
			continue
		}
		if resp.StatusCode != http.StatusOK {
			return end{}, false, first(resp.Header, headerStarted) == "no"
		}
		last, ended = readFramesOf(resp.Body, out)
		return last, ended, ended && last.Refused != nil
	}
}

// A client takes what it should.
func TestClientTakesGoodAnswers(t *testing.T) {
	frame := func(s function.Stream, p string) string {
		h := make([]byte, function.FrameHeaderSize)
		function.PutFrameHeader(h, s, len(p))
		return string(h) + p
	}
	whole := frame(function.Stdout, "log\n") + frame(function.Result, "{}") + frame(function.End, `{"outcome":"ok"}`)
	for cut := range len(whole) + 1 {
		var out recorder
		sum, err := runAnswered(t, []byte("HTTP/1.1 200 OK\r\n\r\n"+whole[:cut]), &out)
		want := function.OutcomeLost
		if cut == len(whole) {
			want = function.OutcomeOK
		}
		if err != nil || sum.Outcome != want {
			t.Errorf("%d of %d bytes: %+v, %v", cut, len(whole), sum, err)
		}
	}
}

// FuzzAnswer writes arbitrary frames by an answer: they are read as they were
// written, and one byte less is no end.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("hello, this is a log and a result"), []byte{1, 5, 2, 0, 3, 20})
	f.Add([]byte(strings.Repeat("x", 5000)), []byte{3, 255, 1, 255, 3, 255})
	f.Fuzz(func(t *testing.T, data, plan []byte) {
		rec := httptest.NewRecorder()
		pool := answerPool{unread: unread}
		a := pool.get(rec, []string{typeFrames})
		var want []string
		for ; len(plan) >= 2; plan = plan[2:] {
			s, n := function.Stream(plan[0]%3+1), min(int(plan[1])*8, len(data))
			if err := a.Write(s, data[:n]); err != nil {
				t.Fatal(err)
			}
			if n > 0 || s == function.Result {
				want = append(want, string('0'+rune(s))+":"+string(data[:n]))
			}
			data = data[n:]
		}
		sum := function.Summary{Outcome: function.OutcomeOK, Error: strings.ToValidUTF8(string(data), "?")}
		if err := a.end(sum, nil); err != nil {
			t.Fatal(err)
		}
		pool.put(a)
		whole := rec.Body.Bytes()
		var got recorder
		last, ended := readFramesOf(bytes.NewReader(whole), &got)
		if !ended || last.Outcome != sum.Outcome || last.Error != sum.Error || !slices.Equal(got.frames, want) {
			t.Errorf("wrote %q %+v, read %q %+v, ended: %v", want, sum, got.frames, last, ended)
		}
		if _, ended := readFramesOf(bytes.NewReader(whole[:len(whole)-1]), new(recorder)); ended {
			t.Error("an answer that was cut has an end")
		}
	})
}

// FuzzInit holds POST /init to encoding/json, and a function's identity to the wire:
// what could be a function arrives with the same ID, what could not is refused.
func FuzzInit(f *testing.F) {
	f.Add("guest", "p/hello", "python:3", "main", "A", "ü\n<&>\u2028", "gpu", int64(5), 2, "l", int64(1000), "")
	f.Add("a\n", "\x00", "k", "m", "A=B", "", "two words", int64(-1), -1, "", int64(-5), "{}")
	f.Fuzz(func(t *testing.T, namespace, action, kind, main, envName, envValue, label string, memory int64, workers int, lease string, ttl int64, behind string) {
		if !utf8.ValidString(strings.Join([]string{namespace, action, kind, main, envName, envValue, label, lease}, " ")) {
			t.Skip("json.Marshal would change it")
		}
		spec := function.Spec{
			Namespace: namespace, Action: action, Kind: kind, Main: main, Env: map[string]string{envName: envValue},
			Require: function.Requirements{Labels: []string{label}, Memory: memory, Workers: workers},
		}
		var req initRequest
		req.Spec, req.Lease.ID, req.Lease.TTLms = spec, lease, ttl
		body, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, behind...)
		got, err := readInit(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/init", bytes.NewReader(body)))
		possible := json.Valid(body) && spec.Check() == nil && function.CheckLeaseID(lease) == nil && ttl >= 0 && ttl <= maxMillis
		if (err == nil) != possible {
			t.Fatalf("%q: %v, but it is possible: %v (%v)", body, err, possible, spec.Check())
		}
		if err != nil {
			if code := function.CodeOf(err); code != function.CodeBadRequest {
				t.Errorf("%q: %v (%s)", body, err, code)
			}
			return
		}
		if got.Spec.ID() != spec.ID() {
			t.Errorf("%+v became %+v", spec, got.Spec)
		}
	})
}
