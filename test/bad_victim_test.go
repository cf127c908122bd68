package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// countPy counts its runs in a global variable, and names its process: process
// ids are no names, as each worker may have its own PID namespace.
const countPy = "import uuid\nworker, n = uuid.uuid4().hex, 0\ndef main(args):\n    global n\n    n += 1\n    return {'n': n, 'worker': worker}\n"

// A victim is a function that was there before somebody sent nonsense, on a host
// that speaks the wire. It must not notice.
type victim struct {
	url, secret string
	client      *wire.Client
	spec        function.Spec
	id          function.ID
	lease       string
	counter
}

// A counter is what countPy last answered.
type counter struct {
	n      int
	worker string
}

// advanced checks the answer to one more run: it must be the very same process,
// and nobody else's run may have reached it meanwhile.
func (c *counter) advanced(t *testing.T, now counter) {
	t.Helper()
	c.n++
	if now != *c && c.worker != "" || now.n != c.n || now.worker == "" {
		t.Errorf("run %d in worker %s, want run %d in worker %s", now.n, now.worker, c.n, c.worker)
	}
	*c = now
}

// counterOf reads what countPy answered.
func counterOf(t *testing.T, result []byte) counter {
	t.Helper()
	var answer struct {
		N      int
		Worker string
	}
	if err := json.Unmarshal(result, &answer); err != nil {
		t.Fatalf("the function answered %q: %v", result, err)
	}
	return counter{answer.N, answer.Worker}
}

// newVictim makes a function of namespace ready at url, and runs it once.
func newVictim(t *testing.T, url, secret, namespace string) *victim {
	t.Helper()
	v := &victim{url: url, secret: secret, client: wireClient(t, url, secret), spec: countSpec(namespace), lease: function.NewLeaseID()}
	v.begin(t)
	return v
}

func wireClient(t *testing.T, url, secret string) *wire.Client {
	t.Helper()
	c, err := wire.NewClient(wire.ClientConfig{URL: url, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// countSpec is a function of one worker at most.
func countSpec(namespace string) function.Spec {
	return function.Spec{
		Namespace: namespace, Action: "count", Kind: "python:3", Main: "main", Code: function.DigestOf([]byte(countPy)),
		Require: function.Requirements{Workers: 1},
	}
}

// begin hands over the code, starts the function, and runs it once.
func (v *victim) begin(t *testing.T) {
	t.Helper()
	if err := v.client.PutCode(t.Context(), v.spec.Namespace, v.spec.Code, strings.NewReader(countPy)); err != nil {
		t.Fatal(err)
	}
	id, err := v.client.Init(t.Context(), v.spec, function.Lease{ID: v.lease, TTL: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	v.id = id
	v.unharmed(t)
}

// unharmed runs the function once more.
func (v *victim) unharmed(t *testing.T) {
	t.Helper()
	var result bytes.Buffer
	out := function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Result {
			result.Write(p)
		}
		return nil
	})
	act := &function.Activation{Body: function.BytesBody([]byte(`{"value":{}}`)), Timeout: patience}
	sum, err := v.client.Run(t.Context(), v.id, function.Claim{Lease: v.lease}, act, out)
	if err != nil || sum.Outcome != function.OutcomeOK {
		t.Fatalf("the function does not run any more: %v, %+v %s", err, sum, result.Bytes())
	}
	v.advanced(t, counterOf(t, result.Bytes()))
}

// head returns the headers of a request with this victim's token and function.
func (v *victim) head() []string {
	return []string{
		"Host: " + strings.TrimPrefix(v.url, "http://"), "Connection: close", "Authorization: Bearer " + v.secret, "Whiskaway-Version: " + wire.Version,
		"Whiskaway-Function: " + v.id.String(), "Whiskaway-Lease: " + v.lease, "Whiskaway-Namespace: " + v.spec.Namespace,
	}
}

// A badCase is one request that must be refused.
type badCase struct {
	name string
	// line is the method and the path.
	line string
	// head changes the usual headers: "Name: value" replaces or adds, "-Name"
	// takes away, "+Name: value" comes in addition.
	head []string
	body string
	// raw is sent instead of all of that.
	raw string
	// cut closes the sender's half of the connection after the body, so that what
	// was announced never comes.
	cut bool

	status int
	// code is what the answer's JSON must name; empty: it was not HTTP, and so the
	// answer is the HTTP library's own.
	code string
	// words must be in the error.
	words string
}

// bytes returns the request.
func (c badCase) bytes(head []string) string {
	if c.raw != "" {
		return c.raw
	}
	lines := slices.Clone(head)
	if !slices.ContainsFunc(c.head, func(l string) bool {
		return strings.HasPrefix(l, "Transfer-Encoding") || strings.HasPrefix(l, "Content-Length")
	}) {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(c.body)))
	}
	for _, change := range c.head {
		if added, ok := strings.CutPrefix(change, "+"); ok {
			lines = append(lines, added)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(change, "-"), ":")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
		if hasValue {
			lines = append(lines, change)
		}
	}
	return c.line + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + c.body
}
