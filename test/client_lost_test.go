package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A moment is when something happens to the connection of one run, seen from
// who sends the run. Its text is in what passes then.
type moment struct {
	name    string
	request bool // what passes is the request, not the answer
	before  bool // it happens before the text is passed on
	anybody bool // it may hit any run, not just the one with the large body
	text    string
}

// moments are told by what the 16th run's body and logs hold, see talker.
var moments = []moment{
	{"before the request", true, true, true, "POST /run"},
	{"in the request's body", true, false, false, "the-middle-of-the-body"},
	{"after the request", true, false, false, "the-end-of-the-body"},
	{"among the answer's frames", false, false, false, "the-middle-of-the-answer"},
	{"before the answer's end", false, true, true, `"outcome"`},
}

// mishaps are what happens. One that is quiet is noticed by the time limit only.
var mishaps = []struct {
	name  string
	quiet bool
	do    func(*passage)
}{
	{"cut", false, (*passage).cut},
	{"reset", false, (*passage).reset},
	{"vanishes", true, (*passage).vanish},
	{"vanishes upwards", true, func(p *passage) { p.near.swallow() }},
	{"vanishes downwards", true, func(p *passage) { p.far.swallow() }},
}

// talker prints among its frames, and takes a large body.
const talker = `
import os, sys, time
share = "SHARE"
def main(args):
    me = os.environ["__OW_ACTIVATION_ID"]
    fd = os.open(os.path.join(share, "ran"), os.O_WRONLY | os.O_APPEND)
    os.write(fd, (me + "\n").encode())
    os.close(fd)
    print("ran " + me, flush=True)
    print("ran " + me, file=sys.stderr, flush=True)
    if args.get("text"):
        print("the-middle-of-" + "the-answer", flush=True)
        time.sleep(0.3) # the first frames leave after 0.1 s
    return {"id": me}
`

// A line is one of those on the way of a run.
type line struct {
	name   string
	direct bool
	proxy  func(*stage) *cutProxy
	// outward says that who sends runs on it has dialled it.
	outward bool
	quiet   string // the quiet mishap of the short form
}

var lines = []line{
	{"client to server", true, func(s *stage) *cutProxy { return s.front }, true, "vanishes"},
	{"client to balancer", false, func(s *stage) *cutProxy { return s.front }, true, "vanishes downwards"},
	{"balancer to server", false, func(s *stage) *cutProxy { return s.back }, false, "vanishes upwards"},
}

// The connection of one of 16 runs is lost, at each moment and in each way: that
// one ends with words, the others succeed, and the next one too.
func TestAlwaysTrue1And7ConnectionLostAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, l := range lines {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newProxiedStage(t, l.direct)
			c := s.newClient()
			code := strings.ReplaceAll(talker, "SHARE", s.share)
			if status, body := c.post("/init", initBody("main@box?concurrency=17&workers=1", code, nil)); status != http.StatusOK {
				t.Fatalf("/init: %d %s", status, body)
			}
			for range rounds(1, 10) {
				loseEach(t, s, c, l)
			}
			s.audit(c)
		})
	}
}

func loseEach(t *testing.T, s *stage, c *client, l line) {
	t.Helper()
	for _, m := range moments {
		for _, h := range mishaps {
			if h.quiet && !slow() && (m.name != "after the request" || h.name != l.quiet) {
				continue // each takes the time limit and the client's grace
			}
			loseOne(t, s, c, l, m, h.name, h.quiet, h.do)
		}
		loseOne(t, s, c, l, m, "delayed", false, later(300*time.Millisecond))
	}
}

func loseOne(t *testing.T, s *stage, c *client, l line, m moment, how string, quiet bool, do func(*passage)) {
	t.Helper()
	where := fmt.Sprintf("%s, %s, %s", l.name, m.name, how)
	limit, besides := patience, patience
	if quiet {
		limit = 2 * time.Second
		if m.anybody {
			besides = 5 * time.Second
		}
	}
	all := c.atOnce(15, `{}`, 0)()
	sprung := l.proxy(s).set(trap{up: m.request == l.outward, text: []byte(m.text), before: m.before, do: do})
	beside := c.atOnce(15, `{}`, besides)
	text := strings.Repeat("x", 200_000) + "the-middle-of-the-body" + strings.Repeat("y", 200_000) + "the-end-of-the-body"
	all = append(all, c.run(t.Context(), fmt.Sprintf(`{"text":%q}`, text), limit))
	all = append(all, beside()...)
	select {
	case <-sprung:
	case <-time.After(patience):
		t.Fatalf("%s: nothing happened", where)
	}
	var failed []answered
	for _, a := range all {
		if !a.ok(t) {
			failed = append(failed, a)
		}
	}
	if len(failed) > 1 || how == "delayed" && len(failed) > 0 {
		t.Errorf("%s: these failed: %v", where, failed)
	}
	// Where nothing more had to pass the run has succeeded, and its connection waits for the next one.
	l.proxy(s).each(func(p *passage) {
		if p.near.swallows() || p.far.swallows() {
			p.cut()
		}
	})
	c.mustRun()
}

// All connections of a line pass nothing on any more, and nobody is told. What is
// under way is lost, once; then new connections are used.
func TestAlwaysTrue1And7LineToTheHostFallsSilent(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newProxiedStage(t, direct)
		c := s.client("f", many)
		for range rounds(1, 10) {
			c.atOnce(16, `{"sleep":0.05}`, 0)() // leaves idle connections
			s.front.each((*passage).vanish)
			if a := c.run(t.Context(), `{}`, time.Second); a.status != 502 || !a.mayHaveRun() {
				t.Errorf("on a silent connection: %v", a)
			}
			for _, a := range c.atOnce(16, `{}`, 0)() {
				if !a.ok(t) {
					t.Errorf("after one was lost: %v", a)
				}
			}
		}
		s.audit(c)
	})
}

// The same between the balancer and its server, which has to join again.
func TestAlwaysTrue6LineToTheServerFallsSilent(t *testing.T) {
	if !slow() {
		t.Skip("takes a minute and a half; set WHISKAWAY_SLOW=1")
	}
	t.Parallel()
	s := newProxiedStage(t, false)
	c := s.client("f", many)
	c.mustRun()
	s.back.each((*passage).vanish)
	c.atOnce(16, `{}`, 3*time.Second)()
	for deadline := time.Now().Add(3 * patience); ; {
		if a := c.run(t.Context(), `{}`, 0); a.ok(t) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server did not come back")
		}
	}
	s.audit(c)
}
