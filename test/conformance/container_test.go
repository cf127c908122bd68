package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/harness"
)

const guard = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"

// A container is `whiskaway runtime`, as an invoker of OpenWhisk has it.
type container struct {
	*harness.Process
	t    *testing.T
	m    mode
	lang language
	url  string

	born   bool   // an /init has succeeded
	guards int    // how many there must be on each stream
	read   [2]int // bytes of each stream up to the last of them
	ids    atomic.Int64
}

func newContainer(t *testing.T, m mode, l language, env ...string) *container {
	t.Helper()
	env = append(append(env, m.env...), "WHISKAWAY_KIND="+l.kind, "__OW_API_HOST=https://platform.example")
	p, url := harness.StartRuntime(t, []string{binary}, env...)
	c := &container{Process: p, t: t, m: m, lang: l, url: url}
	return c
}

// finish stops the container, and counts its guard lines a last time.
func (c *container) finish(t *testing.T) {
	t.Helper()
	c.Stop()
	for i, o := range c.streams() {
		if n := bytes.Count(o.Bytes(), []byte(guard)); n != c.guards {
			t.Errorf("%d guard lines on stream %d, want %d", n, i+1, c.guards)
		}
		if bytes.Contains(o.Bytes(), []byte("panic: ")) {
			t.Errorf("something panicked")
		}
	}
}

func (c *container) streams() [2]*harness.Output { return [2]*harness.Output{c.Stdout, c.Stderr} }

// large is from how many bytes on an answer is not parsed: that takes long, with
// the race detector above all, and who asked for so much compares it whole.
const large = 1 << 20

// An answer is what the platform gets for one request.
type answer struct {
	status int
	header http.Header
	body   string
	logs   [2]string // between the guard lines, where one was due
}

func (a answer) String() string { return fmt.Sprintf("%d %.500s", a.status, a.body) }

// logged are both streams.
func (a answer) logged() string { return a.logs[0] + a.logs[1] }

// post sends a request on a connection of its own, as OpenWhisk does, and checks
// what must hold for every answer.
func (c *container) post(t *testing.T, path, body string) answer {
	t.Helper()
	client := http.Client{Timeout: 2 * harness.Patience, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Post(c.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Errorf("%s: no answer: %v", path, err)
		return answer{}
	}
	return readAnswer(t, resp)
}

func readAnswer(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if err != nil {
		t.Errorf("half an answer, %v: %v", a, err)
	}
	if resp.ContentLength < 0 || len(resp.TransferEncoding) > 0 || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("the answer has the length %d, the transfer encoding %v, and the headers %v", resp.ContentLength, resp.TransferEncoding, resp.Header)
	}
	head := resp.Request != nil && resp.Request.Method == http.MethodHead
	if !head && len(body) < large && !json.Valid(body) {
		t.Errorf("the answer is not JSON: %v", a)
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the answer's type is %q", resp.Header.Get("Content-Type"))
	}
	return a
}

// expectGuards waits for one more guard line on each stream, and returns what
// came between it and the one before.
func (c *container) expectGuards(t *testing.T) (logs [2]string) {
	t.Helper()
	c.guards++
	for i, o := range c.streams() {
		at := -1
		found := func(b []byte) bool {
			at = bytes.Index(b[c.read[i]:], []byte(guard))
			return at >= 0
		}
		if !o.Wait(c.Ended, found) {
			c.guards-- // so that the next case is not blamed
			t.Fatalf("no guard line %d on stream %d", c.guards+1, i+1)
		}
		rest := o.Bytes()[c.read[i]:]
		logs[i] = string(rest[:at])
		if rest = rest[at+len(guard):]; len(rest) > 0 {
			t.Errorf("behind guard line %d on stream %d: %.500q", c.guards, i+1, rest)
		}
		c.read[i] += at + len(guard)
	}
	return logs
}

// skipGuards waits for n more guard lines on each stream, between which the logs
// of several runs may mix.
func (c *container) skipGuards(t *testing.T, n int) {
	t.Helper()
	c.guards += n
	for i, o := range c.streams() {
		if !o.Wait(c.Ended, func(b []byte) bool { return bytes.Count(b[c.read[i]:], []byte(guard)) >= n }) {
			t.Errorf("fewer than %d more guard lines on stream %d", n, i+1)
		}
		c.read[i] = len(o.Bytes())
	}
}

// fields are those of a JSON body. A nil field is left out.
type fields map[string]any

func (f fields) with(more fields) fields {
	all := fields{}
	for _, m := range []fields{f, more} {
		for name, v := range m {
			all[name] = v
			if v == nil {
				delete(all, name)
			}
		}
	}
	return all
}

func (f fields) String() string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // the suite's own values
	}
	return string(b)
}

// initValue is what OpenWhisk sends in an /init's value.
func (c *container) initValue(code code, more fields) fields {
	text, binary := code.fields()
	return fields{"name": "f", "main": "main" + c.m.target, "code": text, "binary": binary,
		"env": map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/" + c.action(), "__OW_DEADLINE": inAMinute()}}.with(more)
}

// action is the function's name: each container has its own, so that none meets
// another's workers on the server.
func (c *container) action() string {
	return "f-" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, c.url[len("http://"):])
}

func inAMinute() string { return fmt.Sprint(time.Now().Add(harness.Patience).UnixMilli()) }

// tryInit sends an /init. One that fails must end the logs.
func (c *container) tryInit(t *testing.T, value fields) answer {
	t.Helper()
	a := c.post(t, "/init", fields{"value": value}.String())
	if c.born = a.status == 200; !c.born {
		a.logs = c.expectGuards(t)
	}
	return a
}

// mustInit sends an /init that must work.
func (c *container) mustInit(t *testing.T, code code, more fields) {
	t.Helper()
	if a := c.tryInit(t, c.initValue(code, more)); a.status != 200 || a.body != `{"ok":true}` {
		t.Fatalf("/init: %v\n%s", a, a.logged())
	}
}

// runBody is the body of a /run, as OpenWhisk sends it.
func (c *container) runBody(value any, more fields) string {
	if s, ok := value.(string); ok {
		value = json.RawMessage(s)
	}
	id := fmt.Sprintf("activation-%d", c.ids.Add(1))
	return fields{"value": value, "namespace": "guest", "action_name": "/guest/" + c.action(), "action_version": "0.0.1",
		"activation_id": id, "transaction_id": "t-" + id, "deadline": inAMinute(), "api_key": "uuid:key"}.with(more).String()
}

// run runs the function once. value is JSON text, or what becomes it.
func (c *container) run(t *testing.T, value any) answer {
	t.Helper()
	return c.runBytes(t, c.runBody(value, nil))
}

func (c *container) runBytes(t *testing.T, body string) answer {
	t.Helper()
	a := c.post(t, "/run", body)
	a.logs = c.expectGuards(t)
	return a
}

// wantResult runs the function, and compares its result as JSON: numbers by
// their text.
func (c *container) wantResult(t *testing.T, value any, want string) answer {
	t.Helper()
	a := c.run(t, value)
	if a.status != 200 || canonical(t, a.body) != canonical(t, want) {
		t.Errorf("the answer is %v, want %s\n%s", a, want, a.logged())
	}
	return a
}

// canonical writes JSON in one way, each number as it stands there.
func canonical(t *testing.T, text string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Errorf("%.200q is not JSON: %v", text, err)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// wantError checks an answer that is an error with words for a person.
func wantError(t *testing.T, a answer, status int, words string) {
	t.Helper()
	var e map[string]any
	json.Unmarshal([]byte(a.body), &e)
	said, ok := e["error"].(string)
	if a.status != status || !ok || len(e) != 1 || !strings.Contains(said, words) {
		t.Errorf("the answer is %v, want %d and an error with %q\n%s", a, status, words, a.logged())
	}
	t.Log(a) // for whoever wants to see what a newcomer sees
	for _, secret := range []string{"goroutine", ".go:", "launcher"} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the answer tells %q: %v", secret, a)
		}
	}
}
