package test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// A solo is a server in a process of its own, and a client that comes directly.
type solo struct {
	*process
	dir    string
	client *wire.Client
}

const soloToken = "a-token-for-tests-only-0123456789"

// startSolo starts a server with further args. The data directory can be entered by any user, as
// an operator's is.
func startSolo(t *testing.T, args ...string) *solo {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return startSoloBehind(t, nil, dir, args...)
}

// startSoloBehind is startSolo in dir, with a command before it that becomes the server.
func startSoloBehind(t *testing.T, before []string, dir string, args ...string) *solo {
	t.Helper()
	args = append([]string{"server", "--listen", "127.0.0.1:0", "--token", soloToken, "--data", dir}, args...)
	d := &solo{process: startBehind(t, before, nil, nil, args...), dir: dir}
	d.client = wireClient(t, d.waitFor(`server listening on (\S+)`), soloToken)
	return d
}

// A guest is a function on a solo server, with a lease.
type guest struct {
	d     *solo
	t     *testing.T
	spec  function.Spec
	id    function.ID
	claim function.Claim
}

// spec is a function's, whose code is given.
func specOf(kind, code string, change ...func(*function.Spec)) function.Spec {
	s := function.Spec{Namespace: "guest", Action: "f", Kind: kind, Main: "main", Code: function.DigestOf([]byte(code))}
	for _, c := range change {
		c(&s)
	}
	return s
}

// tryInit hands over the code and makes the server ready for the function.
func (d *solo) tryInit(ctx context.Context, spec function.Spec, code string) (*guest, error) {
	if err := d.client.PutCode(ctx, spec.Namespace, spec.Code, strings.NewReader(code)); err != nil {
		return nil, err
	}
	lease := function.Lease{ID: function.NewLeaseID(), TTL: time.Hour}
	id, err := d.client.Init(ctx, spec, lease)
	return &guest{d: d, t: d.t, spec: spec, id: id, claim: function.Claim{Lease: lease.ID}}, err
}

func (d *solo) init(spec function.Spec, code string) *guest {
	d.t.Helper()
	g, err := d.tryInit(d.t.Context(), spec, code)
	if err != nil {
		d.t.Fatalf("%v\n%s", err, function.AsError(err).Logs)
	}
	return g
}

// An ending is what became of a run.
type ending struct {
	function.Summary
	result []byte
	logs   string
	err    error
}

// try runs the function once. Logs are kept up to some MB.
func (g *guest) try(ctx context.Context, args string, timeout time.Duration) ending {
	var e ending
	var result, logs bytes.Buffer
	out := function.OutputFunc(func(s function.Stream, p []byte) error {
		switch {
		case s == function.Result:
			result.Write(p)
		case logs.Len() < 1<<20:
			logs.Write(p)
		}
		return nil
	})
	act := &function.Activation{Body: function.BytesBody([]byte(`{"value":` + args + `}`)), Timeout: timeout}
	e.Summary, e.err = g.d.client.Run(ctx, g.id, g.claim, act, out)
	e.result, e.logs = result.Bytes(), logs.String()
	return e
}

// run must succeed; it returns the fields of the result.
func (g *guest) run(args string) map[string]any {
	g.t.Helper()
	e := g.try(g.t.Context(), args, patience)
	if e.err != nil || e.Outcome != function.OutcomeOK {
		g.t.Fatalf("%v, %+v %s\n%s", e.err, e.Summary, e.result, e.logs)
	}
	var fields map[string]any
	if err := json.Unmarshal(e.result, &fields); err != nil {
		g.t.Fatalf("%q: %v", e.result, err)
	}
	if words, failed := fields["error"]; failed {
		g.t.Fatalf("the function answered the error %v\n%s", words, e.logs)
	}
	return fields
}

func (g *guest) stop() {
	g.t.Helper()
	if err := g.d.client.Stop(g.t.Context(), g.id, g.claim); err != nil {
		g.t.Error(err)
	}
}

// status is the server's at this moment.
func (d *solo) status() function.Status {
	d.t.Helper()
	var now function.Status
	enough := context.Canceled
	err := d.client.Watch(d.t.Context(), func(s function.Status) error {
		now = s
		return enough
	})
	if err != nil && len(now.Servers) == 0 {
		d.t.Fatal(err)
	}
	return now
}

// functionDirs lists what the server has of functions on its disk.
func (d *solo) functionDirs() []string {
	left, _ := filepath.Glob(filepath.Join(d.dir, "functions", "*"))
	return left
}
