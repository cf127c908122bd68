package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// theirCode is the same function in both languages. "exit" makes its process end, "wait"
// makes it wait for ever, and names a file that it leaves when it is cut.
var theirCode = map[string]string{
	"python:3": `
import os, sys, time
def main(args):
    if isinstance(args, list):
        return args
    print("out of", args.get("id"))
    print("err of", args.get("id"), file=sys.stderr)
    if "exit" in args:
        sys.stdout.flush()
        os._exit(3)
    if "wait" in args:
        try:
            if args["wait"]:
                open(args["wait"] + ".begun", "w").close()
            time.sleep(600)
        finally:
            if args["wait"]:
                open(args["wait"], "w").close()
    return {"args": args, "x": os.environ.get("X"), "namespace": os.environ.get("__OW_NAMESPACE")}
def other(args):
    return {"other": args}
`,
	"nodejs:20": `
const fs = require('fs')
function main(args) {
  if (Array.isArray(args)) return args
  console.log('out of', args.id)
  console.error('err of', args.id)
  if ('exit' in args) process.exit(3)
  if ('wait' in args) return new Promise(() => {
    process.on('SIGINT', () => { if (args.wait) fs.writeFileSync(args.wait, '') })
    setInterval(() => {}, 1000)
    if (args.wait) fs.writeFileSync(args.wait + '.begun', '')
  })
  return {args, x: process.env.X, namespace: process.env.__OW_NAMESPACE}
}
function other(args) { return {other: args} }
exports.main = main
exports.other = other
`,
}

// forEachKind runs a test with a server for each language.
func forEachKind(t *testing.T, test func(t *testing.T, code, addr string)) {
	for kind, code := range theirCode {
		t.Run(kind, func(t *testing.T) {
			_, addr := startOpenServerless(t, t.TempDir(), "--openserverless-kind", kind)
			test(t, code, addr)
		})
	}
}

// forEachVersion is forEachKind for each version of their client, too.
func forEachVersion(t *testing.T, test func(t *testing.T, code, addr string, byID bool)) {
	forEachKind(t, func(t *testing.T, code, addr string) {
		for _, byID := range []bool{false, true} {
			test(t, code, addr, byID)
		}
	})
}

func TestOpenServerlessWarns(t *testing.T) {
	p, addr := startOpenServerless(t, t.TempDir())
	p.waitFor("WARNING: .*no token.*on loopback")
	eventually(t, "the log warns too", func() bool { return strings.Contains(p.log(), "level=WARN") && strings.Contains(p.log(), "no token") })
	p = start(t, nil, nil, "server", "--openserverless", "0.0.0.0:0", "--namespace", "demo", "--data", t.TempDir())
	p.waitFor("WARNING: .*NOT on loopback.*NO encryption")
	p.stop() // it would run anybody's code
	for want, args := range map[string][]string{
		"--namespace":              {"--openserverless", "127.0.0.1:0"},
		"goes with":                {"--namespace", "demo", "--listen", "127.0.0.1:0"},
		"in use by another":        {"--openserverless", addr, "--namespace", "demo"},
		"from 1s to 1h":            {"--openserverless", addr, "--namespace", "demo", "--openserverless-idle", "2h"},
		"the function's namespace": {"--openserverless", addr, "--namespace", "a\nb"},
		"write demo, not /demo":    {"--openserverless", addr, "--namespace", "/demo"},
	} {
		p := start(t, nil, nil, append([]string{"server", "--data", t.TempDir()}, args...)...)
		<-p.ended
		if p.cmd.ProcessState.Success() || !strings.Contains(p.log(), want) {
			t.Errorf("%v: %s", args, p.log())
		}
	}
}

func TestOpenServerlessValuesPassUnchanged(t *testing.T) {
	forEachKind(t, func(t *testing.T, code, addr string) {
		c := newTheirClient(t, addr, false)
		c.mustInit("main", code, map[string]string{"X": "y"})
		for _, value := range []string{`[1,{"a":[]},"ü"]`, `[]`, `[12345678901234567890,9007199254740993]`} {
			c.run(value).want(t, value)
		}
		a := c.run(`{"n":12345678901234567890,"u":"ü<&>"}`)
		if got := compact(t, string(a.Response)); got != `{"args":{"n":12345678901234567890,"u":"ü<&>"},"x":"y","namespace":"guest"}` {
			t.Errorf("%d %s %s", a.status, got, a.Error)
		}
		if got := compact(t, string(c.run("").Response)); !strings.HasPrefix(got, `{"args":{},`) { // an empty value is left out
			t.Error(got)
		}
		big := `["` + strings.Repeat("x", 3<<20) + `"]`
		if a := c.run(big); a.status != 200 || string(a.Response) != big {
			t.Errorf("3 MB: %d, %d bytes came back", a.status, len(a.Response))
		}
	})
}

// Clients of one function run it in parallel, each run with its own logs, and one client's end
// is not the others'.
func TestOpenServerlessParallelClients(t *testing.T) {
	forEachVersion(t, func(t *testing.T, code, addr string, byID bool) {
		clients := make([]*theirClient, 6)
		var wg sync.WaitGroup
		for i := range clients {
			clients[i] = newTheirClient(t, addr, byID)
			wg.Go(func() { clients[i].init("main", code, nil) })
		}
		wg.Wait()
		for i, c := range clients {
			wg.Go(func() {
				for n := range 15 {
					id := fmt.Sprintf("%d-%d", i, n)
					a := c.run(`{"id":"` + id + `"}`)
					out, err := a.logs(t)
					if a.status != 200 || !strings.Contains(string(a.Response), `"`+id+`"`) || out != "out of "+id+"\n" || err != "err of "+id+"\n" {
						t.Errorf("asked %s: %d %s %q %q %s", id, a.status, a.Response, out, err, a.Error)
					}
				}
				if i%2 == 0 {
					if a := c.stop(); a.status != 200 {
						t.Errorf("/stop: %d %s", a.status, a.Error)
					}
				}
			})
		}
		wg.Wait()
		for i, c := range clients {
			if a := c.run(`{"id":1}`); byID && i%2 == 0 && a.status != 404 || i%2 == 1 && a.status != 200 {
				t.Errorf("client %d after the stops: %d %s", i, a.status, a.Error)
			}
		}
		for i, c := range clients {
			if i%2 == 1 {
				c.stop()
			}
		}
		if a := clients[1].run(`{}`); a.status != 404 {
			t.Errorf("after the last /stop: %d", a.status)
		}
	})
}

// The same code with another main or environment is another function.
func TestOpenServerlessSameHashDoesNotShare(t *testing.T) {
	forEachVersion(t, func(t *testing.T, code, addr string, byID bool) {
		all := []*theirClient{newTheirClient(t, addr, byID), newTheirClient(t, addr, byID), newTheirClient(t, addr, byID)}
		all[0].mustInit("main", code, map[string]string{"X": "mine"})
		all[1].mustInit("main", code, map[string]string{"X": "theirs"})
		all[2].mustInit("other", code, map[string]string{"X": "mine"})
		for i, want := range []string{`{"args":{},"x":"mine","namespace":"guest"}`, `{"args":{},"x":"theirs","namespace":"guest"}`, `{"other":{}}`} {
			a := all[i].run(`{}`)
			if byID && (a.status != 200 || compact(t, string(a.Response)) != want) {
				t.Errorf("client %d: %d %s %s, want %s", i, a.status, a.Response, a.Error, want)
			}
			if !byID && (a.status != 409 || !strings.Contains(a.Error, "more than one function")) {
				t.Errorf("client %d: %d %s, want a refusal", i, a.status, a.Error)
			}
		}
		all[1].stop()
		all[2].stop()
		if a := all[0].run(`{}`); a.status != 200 {
			t.Errorf("alone again: %d %s", a.status, a.Error)
		}
		all[0].stop()
	})
}

func TestOpenServerlessFailures(t *testing.T) {
	forEachKind(t, func(t *testing.T, code, addr string) {
		c := newTheirClient(t, addr, false)
		c.mustInit("main", code, nil)
		a := c.run(`{"id":"dying","exit":1}`)
		if a.status != 502 || !strings.Contains(a.Error, "ended without an answer") || !strings.Contains(a.Error, "out of dying") || !strings.Contains(a.Error, "err of dying") {
			t.Errorf("a crash: %d %s", a.status, a.Error)
		}
		c.run(`{"id":"warm"}`)
		deadline := strconv.FormatInt(time.Now().Add(3*time.Second).UnixMilli(), 10)
		a = c.runUntil(context.Background(), `{"id":"slow","wait":""}`, deadline)
		if a.status != 502 || !strings.Contains(a.Error, "time limit") || !strings.Contains(a.Error, "out of slow") {
			t.Errorf("a time limit: %d %s", a.status, a.Error)
		}
		a = c.run(`{"id":"next"}`)
		if out, err := a.logs(t); a.status != 200 || out != "out of next\n" || err != "err of next\n" {
			t.Errorf("the next run: %d %q %q", a.status, out, err)
		}
		c.stop()
		bad := newTheirClient(t, addr, false)
		if a := bad.init("main", "this is (no code", nil); a.status != 502 || !strings.Contains(a.Error, "SyntaxError") {
			t.Errorf("bad code: %d %s", a.status, a.Error)
		}
		if a := bad.run(`{}`); a.status != 404 {
			t.Errorf("a run of what never started: %d", a.status)
		}
	})
}

// A client that leaves cancels its run.
func TestOpenServerlessClientLeaves(t *testing.T) {
	for kind, code := range theirCode {
		t.Run(kind, func(t *testing.T) {
			share := t.TempDir()
			if err := os.Chmod(share, 0o777); err != nil { // functions may have users of their own
				t.Fatal(err)
			}
			_, addr := startOpenServerless(t, t.TempDir(), "--openserverless-kind", kind, "--share", share, "--workers", "1")
			c := newTheirClient(t, addr, false)
			c.mustInit("main", code, nil)
			ctx, leave := context.WithCancel(t.Context())
			cut := filepath.Join(share, "cut")
			there := func(path string) func() bool {
				return func() bool { _, err := os.Stat(path); return err == nil }
			}
			var running sync.WaitGroup
			running.Go(func() { c.runUntil(ctx, fmt.Sprintf(`{"wait":%q}`, cut), "") })
			eventually(t, "the run begins", there(cut+".begun"))
			leave()
			running.Wait()
			eventually(t, "the function is told", there(cut))
			if a := c.run(`{"id":"next"}`); a.status != 200 {
				t.Errorf("the next run: %d %s", a.status, a.Error)
			}
		})
	}
}

// No client notices that the server was killed and came back.
func TestAlwaysTrue6OpenServerlessClientsOutliveTheServer(t *testing.T) {
	dir := t.TempDir()
	p, addr := startOpenServerless(t, dir)
	var clients []*theirClient
	for i, byID := range []bool{false, true} {
		c := newTheirClient(t, addr, byID)
		c.mustInit("main", theirCode["python:3"]+fmt.Sprint("# ", i), map[string]string{"X": "y"})
		clients = append(clients, c)
	}
	stopped := newTheirClient(t, addr, true)
	stopped.mustInit("main", theirCode["python:3"], nil)
	stopped.stop()
	p.kill()
	serveOpenServerlessAt(t, dir, addr)
	for _, c := range clients {
		a := c.run(`{"n":1}`)
		if out, _ := a.logs(t); a.status != 200 || compact(t, string(a.Response)) != `{"args":{"n":1},"x":"y","namespace":"guest"}` || out != "out of None\n" {
			t.Errorf("by id %v: %d %s %s %q", c.byID, a.status, a.Response, a.Error, out)
		}
	}
	if a := stopped.run(`{}`); a.status != 404 {
		t.Errorf("a client that stopped before: %d", a.status)
	}
}

// A lease that its client did not use ends; the function goes, and comes back when it is called.
func TestOpenServerlessIdleClient(t *testing.T) {
	p, addr := startOpenServerless(t, t.TempDir(), "--openserverless-idle", "5s", "--lease-grace", "1ms")
	c := newTheirClient(t, addr, false)
	c.mustInit("main", theirCode["python:3"], nil)
	c.run(`{}`)
	eventually(t, "the function ends", func() bool { return strings.Contains(p.log(), "a function ends") })
	if a := c.run(`{"n":1}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.Error)
	}
}
