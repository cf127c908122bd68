package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCheckID(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"id":123456789012}`:               true,
		`{"x": 1, "id": 123456789012, "y":`: true,
		`{"id":"123456789012"}`:             false,
		`{"id":1234567890123}`:              false,
		`{"id":123456789013}`:               false,
		`{"id":`:                            false,
		``:                                  false,
	} {
		if err := checkID([]byte(body), 123456789012); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func serve(t *testing.T, h http.HandlerFunc) *setup {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s := &setup{name: "test"}
	s.asking(server.URL, "/run")
	return s
}

func ask(t *testing.T, s *setup, ids ...int64) error {
	t.Helper()
	c, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, id := range ids {
		if err := c.call(id); err != nil {
			return err
		}
	}
	return nil
}

func TestConn(t *testing.T) {
	var asked []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Write(body)
	})
	if err := ask(t, s, firstID, firstID+1, firstID+64*idsPerCaller); err != nil {
		t.Error(err)
	}
	if len(asked) != 3 || asked[0] != "POST /run" {
		t.Errorf("asked %v", asked)
	}
}

func TestConnRefuses(t *testing.T) {
	cases := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"another's answer": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"id": %d}`, firstID+1) }, "asked with id"},
		"an error":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusBadGateway) }, "502: no room"},
		"no length":        {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, "no Content-Length"},
		"no answer":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "reading an answer"},
	}
	for name, c := range cases {
		err := ask(t, serve(t, c.answer), firstID)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestFloorsAnswerWithTheQuestion(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(echo))
	defer target.Close()
	forwarder := httptest.NewServer(forwardTo(target.URL))
	defer forwarder.Close()
	for _, url := range []string{target.URL, forwarder.URL} {
		s := &setup{}
		s.asking(url, "/")
		if err := ask(t, s, firstID, firstID+1); err != nil {
			t.Error(err)
		}
	}
}

func TestLoad(t *testing.T) {
	needProc(t)
	l := &lab{seen: map[int]uint64{}}
	m, err := l.load(t.Context(), serve(t, echo), 4, 20*time.Millisecond, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if m.perSecond <= 0 || m.p50 <= 0 || m.p99 < m.p50 {
		t.Errorf("measured %+v", m)
	}
}

func TestLoadEndsAtAWrongAnswer(t *testing.T) {
	needProc(t)
	l := &lab{seen: map[int]uint64{}}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"id":1}`) })
	if _, err := l.load(t.Context(), s, 4, 0, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "asked with id") {
		t.Errorf("error %v", err)
	}
}

func needProc(t *testing.T) {
	if _, err := processes(); err != nil {
		t.Skip(err)
	}
}

// A process is followed with its descendants, and none is left after the end.
func TestProcesses(t *testing.T) {
	needProc(t)
	l, err := newLab(options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{name: "shell"}
	l.setups = append(l.setups, s)
	p, err := l.startProcess(s, command{name: "sh", path: "/bin/sh", args: []string{"-c", `trap 'kill $!; exit' TERM; sleep 600 & echo listening on http://x; wait`}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.await(t.Context(), "listening on "); err != nil || got != "http://x" {
		t.Errorf("await: %q, %v", got, err)
	}
	all := awaitChild(t, s, "sleep")
	if text := memoryOf(s, all); !strings.HasPrefix(text, "sh ") || !strings.Contains(text, "child sleep ") {
		t.Errorf("memory: %s", text)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(l.dir); err == nil {
		t.Error("the directory is left")
	}
}

// awaitChild waits until the one child of s's process runs the named program.
func awaitChild(t *testing.T, s *setup, name string) snapshot {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		tree := all.tree(s.roots)
		if len(tree) == 2 && tree[1].name == name {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("the tree is %+v, want a child %s", tree, name)
		}
	}
}

func TestAwaitTellsWhy(t *testing.T) {
	l, err := newLab(options{})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(l.dir)
	p, err := l.startProcess(&setup{}, command{name: "sh", path: "/bin/sh", args: []string{"-c", "echo the port is taken >&2"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.await(context.Background(), "listening on "); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("error %v", err)
	}
	<-p.done
}

func TestParseStat(t *testing.T) {
	p, err := parseStat(7, "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5555 1000 12 18446744073709551615 1")
	if err != nil {
		t.Fatal(err)
	}
	if p.name != "a) b (c" || p.parent != 3 || p.state != 'S' || p.cpu != 1270*time.Millisecond || p.started != 5555 || p.rss != 12*int64(os.Getpagesize()) {
		t.Errorf("got %+v", p)
	}
	if _, err := parseStat(7, "7 (a) S 3"); err == nil {
		t.Error("a short line was taken")
	}
}

func TestStatistics(t *testing.T) {
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median %v", m)
	}
	if m := median([]float64{4, 1}); m != 2.5 {
		t.Errorf("median %v", m)
	}
	if s := spread([]float64{90, 100, 120}); s != 20 {
		t.Errorf("spread %v", s)
	}
	if r := ratios([]float64{1, 4}, []float64{2, 2}); r[0] != 0.5 || r[1] != 2 {
		t.Errorf("ratios %v", r)
	}
}

func TestParseFlags(t *testing.T) {
	for args, ok := range map[string]bool{
		"-binary /bin/sh": true, "-binary /bin/sh -connections 1,2 -repeats 5": true,
		"-binary /no/such": false, "-connections 0": false, "-connections x": false, "-repeats 0": false, "more": false,
	} {
		if _, err := parseFlags(strings.Fields(args)); (err == nil) != ok {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestWayByTLSIsBeyondLoopback(t *testing.T) {
	if host, err := (way{}).host(); err != nil || host != "127.0.0.1" {
		t.Errorf("plain: %q, %v", host, err)
	}
	host, err := way{tls: true}.host()
	if errors.Is(err, errCannot) {
		t.Skip(err)
	}
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsLoopback() || ip.IsUnspecified() {
		t.Errorf("by TLS: %q, %v", host, err)
	}
}

// What this binary or machine cannot do is left out; the others are measured.
func TestSetupThatCannotBeIsLeftOut(t *testing.T) {
	l, err := newLab(options{binary: "/bin/echo", connections: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(l.dir)
	kind := setupKind{"never", func(context.Context, *lab, *setup) error { return fmt.Errorf("%w: for a test", errCannot) }}
	if err := l.startSetup(t.Context(), kind); err != nil || len(l.setups) != 0 {
		t.Errorf("%v, %d setups", err, len(l.setups))
	}
	if _, err := (way{dialled: true}).advertise(l, "127.0.0.1"); !errors.Is(err, errCannot) {
		t.Errorf("a binary without --advertise: %v", err)
	}
}

func TestBalancerShare(t *testing.T) {
	if got := balancerShare([]measurement{{balancer: 20}, {balancer: 31}, {balancer: 30}}); got != "30" {
		t.Error(got)
	}
	if got := balancerShare([]measurement{{cpu: 20}}); got != "-" {
		t.Error(got)
	}
}
