package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// pidPy tells which process runs it, and how often it was started there.
const pidPy = `
import os
runs = 0
def main(args):
    global runs
    runs += 1
    return {"pid": os.getpid(), "runs": runs, "environment": " ".join(os.environ.values()), "bulk": "x" * 200000}
`

// bulk is how long the longest text in its answer is.
const bulk = 200000

// A post is a balancer in a process of its own, with a client of it.
type post struct {
	*process
	t                 *testing.T
	dir, address, url string
	client            *wire.Client
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, dir: t.TempDir(), address: ownLoopback() + ":0"}
	p.open()
	p.client = wireClient(t, p.url, readToken(t, p.dir, "client"))
	return p
}

// open starts it, again at the address that it had.
func (p *post) open() {
	p.t.Helper()
	p.process = start(p.t, nil, nil, "balancer", "--listen", p.address, "--data", p.dir)
	p.url = p.waitFor(`balancer listening on (\S+)`)
	p.address = strings.TrimPrefix(p.url, "http://")
}

// joinedBy is what a server is told to join it.
func (p *post) joinedBy() []string {
	return []string{"--balancer", p.url, "--token", readToken(p.t, p.dir, "join")}
}

// run runs a function once, and says what it answered.
func (p *post) run(spec function.Spec, code string) map[string]any {
	p.t.Helper()
	id, claim := p.init(spec, code)
	var result bytes.Buffer
	act := &function.Activation{Body: function.BytesBody([]byte(`{"value":{}}`)), Timeout: patience}
	sum, err := p.client.Run(p.t.Context(), id, claim, act, function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Result {
			result.Write(p)
		}
		return nil
	}))
	if err != nil || sum.Outcome != function.OutcomeOK {
		p.t.Fatalf("%v, %+v", err, sum)
	}
	var fields map[string]any
	if err := json.Unmarshal(result.Bytes(), &fields); err != nil {
		p.t.Fatalf("%q: %v", result.Bytes(), err)
	}
	return fields
}

func (p *post) init(spec function.Spec, code string) (function.ID, function.Claim) {
	p.t.Helper()
	lease := function.Lease{ID: function.NewLeaseID(), TTL: time.Minute}
	id, err := function.InitWithCode(p.t.Context(), p.client, spec, lease, func() (io.ReadCloser, error) { return fileOf([]byte(code)), nil })
	if err != nil {
		p.t.Fatal(err)
	}
	return id, function.Claim{Lease: lease.ID}
}

func TestAServerOfTwoBalancersServesBothAndOneThatComesBack(t *testing.T) {
	t.Parallel()
	a, b := newPost(t), newPost(t)
	args := append([]string{"server", "--data", t.TempDir(), "--label", "both"}, append(a.joinedBy(), b.joinedBy()...)...)
	server := start(t, nil, nil, args...)
	server.waitFor("joined " + a.url)
	server.waitFor("joined " + b.url)
	spec := specOf("python:3", pidPy, func(s *function.Spec) {
		s.Require = function.Requirements{Labels: []string{"both"}, Workers: 1}
	})
	first := a.run(spec, pidPy)
	if second := b.run(spec, pidPy); second["pid"] != first["pid"] || second["runs"] != 2.0 {
		t.Errorf("by the other balancer it ran as %v, after %v: it was started twice", second, first)
	}
	a.kill()
	if third := b.run(spec, pidPy); third["pid"] != first["pid"] || third["runs"] != 3.0 {
		t.Errorf("with one balancer away it ran as %v, after %v", third, first)
	}
	a.open()
	eventually(t, "the server joins again", func() bool { return strings.Count(server.Stdout.String(), "joined "+a.url) == 2 })
	if fourth := a.run(spec, pidPy); fourth["pid"] != first["pid"] || fourth["runs"] != 4.0 {
		t.Errorf("after a balancer came back it ran as %v, after %v", fourth, first)
	}
}

func TestOneBalancersRefusalDoesNotEndTheOthersService(t *testing.T) {
	t.Parallel()
	a, b := newPost(t), newPost(t)
	server := start(t, nil, nil, "server", "--data", t.TempDir(), "--label", "both",
		"--balancer", a.url, "--token", "wa_join_not-that-balancers-token", "--balancer", b.url, "--token", readToken(t, b.dir, "join"))
	server.waitFor("joined " + b.url)
	eventually(t, "the refusal is logged", func() bool {
		return strings.Contains(server.log(), a.url) && strings.Contains(server.log(), "tokens/join")
	})
	spec := specOf("python:3", pidPy, func(s *function.Spec) { s.Require.Labels = []string{"both"} })
	if got := b.run(spec, pidPy); got["runs"] != 1.0 {
		t.Errorf("it ran as %v", got)
	}
	if strings.Contains(server.log(), "not-that-balancers-token") {
		t.Errorf("the token is logged:\n%s", server.log())
	}
}

func TestAServerThatAllBalancersRefuseEnds(t *testing.T) {
	t.Parallel()
	a, b := newPost(t), newPost(t)
	said := fails(t, "server", "--data", t.TempDir(), "--balancer", a.url, "--token", "wa_join_wrong", "--balancer", b.url, "--token", "wa_join_wrong")
	for _, want := range []string{a.url, b.url, "tokens/join"} {
		if !strings.Contains(said, want) {
			t.Errorf("it said %q, which lacks %q", said, want)
		}
	}
}

func TestWrongPairsAndAdvertisementsAreExplained(t *testing.T) {
	t.Parallel()
	two := []string{"server", "--balancer", "http://127.0.0.1:1", "--balancer", "http://127.0.0.1:2"}
	home := []string{"server", "--data", t.TempDir(), "--balancer", "http://127.0.0.1:1", "--token", "secret-x"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{append(two, "--token", "secret-x"), "--balancer is given 2 times and --token 1 times"},
		{two, "--balancer is given 2 times and --token 0 times"},
		{append(home, "--token", "secret-y"), "--token 2 times"},
		{append(home, "--balancer", "http://127.0.0.1:1", "--token", "secret-y"), "given twice"},
		{append(home, "--balancer", "http://192.0.2.1:1", "--token", "secret-y"), "plain http"},
		{[]string{"server", "--listen", "127.0.0.1:0", "--token", "secret-x", "--token", "secret-y"}, "which clients must show"},
		{append(home, "--advertise", "https://gpu.example.com"), "--listen"},
		{append(home, "--listen", "127.0.0.1:0", "--advertise", "http://gpu.example.com"), "plain http"},
		{append(home, "--listen", "127.0.0.1:0", "--advertise", "gpu.example.com:8080"), "https://"},
	} {
		said := fails(t, c.args...)
		if !strings.Contains(said, c.want) || strings.Contains(said, "secret-") || strings.Contains(said, "goroutine") {
			t.Errorf("whiskaway %v said %q, which lacks %q or has too much", c.args, said, c.want)
		}
	}
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestAnAdvertisedServerIsDialledAndElseRunsGoByHome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ scheme, listen string }{{"http", ownLoopback()}, {"https", "0.0.0.0"}} {
		t.Run(c.scheme, func(t *testing.T) {
			t.Parallel()
			b := newPost(t)
			listen := net.JoinHostPort(c.listen, freePort(t, c.listen))
			_, port, _ := net.SplitHostPort(listen)
			target := listen
			if c.scheme == "https" {
				target = "127.0.0.1:" + port
			}
			line := startRelay(t, "http://"+target)
			server := start(t, nil, nil, append([]string{"server", "--data", t.TempDir(), "--label", "both",
				"--listen", listen, "--advertise", c.scheme + "://" + strings.TrimPrefix(line.url, "http://")}, b.joinedBy()...)...)
			server.waitFor("joined")
			eventually(t, "the server is dialled", func() bool { return strings.Contains(b.log(), "runs go there directly") })
			spec := specOf("python:3", pidPy, func(s *function.Spec) { s.Require.Labels = []string{"both"} })
			b.run(spec, pidPy)
			if n := line.bytes.Load(); n < bulk {
				t.Errorf("%d bytes went by the line to the server: the answer of %d came another way", n, bulk)
			}
			line.stop()
			if got := b.run(spec, pidPy); got["runs"] != 2.0 {
				t.Errorf("without that line it ran as %v", got)
			}
			eventually(t, "the balancer says so", func() bool { return strings.Contains(b.log(), "runs go by the connections") })
			if strings.Contains(b.log()+server.log(), "wa_client_") {
				t.Errorf("a token is logged:\n%s\n%s", b.log(), server.log())
			}
		})
	}
}

// The server does not know the labels of the token that it joined with, so it is told to start the function
// by the connections that it has dialled; runs go directly all the same.
func TestAFunctionOfGrantedLabelsRunsOnAnAdvertisedServer(t *testing.T) {
	t.Parallel()
	b := newPost(t)
	token, err := wire.TokenDir(b.dir).CreateToken(t.Context(), wire.TokenSpec{Role: wire.RoleJoin, Labels: []string{"pool=ours"}})
	if err != nil {
		t.Fatal(err)
	}
	listen := net.JoinHostPort(ownLoopback(), freePort(t, ownLoopback()))
	line := startRelay(t, "http://"+listen)
	args := []string{"server", "--data", t.TempDir(), "--listen", listen, "--advertise", line.url, "--balancer", b.url, "--token", token.Text}
	eventually(t, "the new token is known", func() bool { return strings.Contains(b.log(), "the tokens have changed") })
	start(t, nil, nil, args...).waitFor("joined")
	eventually(t, "the server is dialled", func() bool { return strings.Contains(b.log(), "runs go there directly") })
	spec := specOf("python:3", pidPy, func(s *function.Spec) { s.Require.Labels = []string{"pool=ours"} })
	if got := b.run(spec, pidPy); got["runs"] != 1.0 {
		t.Errorf("it ran as %v", got)
	}
	if n := line.bytes.Load(); n < bulk {
		t.Errorf("%d bytes went by the line to the server: the answer of %d came another way", n, bulk)
	}
	if err := wire.TokenDir(b.dir).RevokeToken(t.Context(), token.ID, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is dropped", func() bool { return strings.Contains(b.log(), "its join token was revoked") })
}

func TestFoundLabelsChooseAServer(t *testing.T) {
	t.Parallel()
	b := newPost(t)
	start(t, nil, nil, append([]string{"server", "--data", t.TempDir()}, b.joinedBy()...)...).waitFor("joined")
	env := []string{"WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER=" + b.url, "WHISKAWAY_TOKEN=" + readToken(t, b.dir, "client")}
	r := startRuntime(t, env...)
	if status, said := r.post("/init", initBody("main@"+runtime.GOARCH+"&"+runtime.GOOS, pidPy, nil)); status != 200 {
		t.Errorf("this machine's: %d %s", status, said)
	}
	if status, said := startRuntime(t, env...).post("/init", initBody("main@sparc64", pidPy, nil)); status == 200 || !strings.Contains(said, "sparc64") {
		t.Errorf("another machine's: %d %s", status, said)
	}
}
