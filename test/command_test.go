package test

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// run runs whiskaway to its end and returns what it printed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = cleanEnv(t)
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if e, ok := err.(*exec.ExitError); ok {
			stderr = e.Stderr
		}
		t.Fatalf("whiskaway %v: %v\n%s%s", args, err, out, stderr)
	}
	return string(out)
}

// fails runs whiskaway, which must refuse, and returns what it said.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = cleanEnv(t)
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("whiskaway %v did not refuse, or not in time:\n%s", args, out)
	}
	return string(out)
}

func TestVersion(t *testing.T) {
	if out := run(t, "version"); !strings.HasPrefix(out, "whiskaway ") {
		t.Errorf("version printed %q", out)
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"server"}, "--balancer URL"},
		{[]string{"server", "--balancer", "http://127.0.0.1:1"}, "tokens/join"},
		{[]string{"server", "--balancer", "http://192.0.2.1:1", "--token", "x", "--data", t.TempDir()}, "https"},
		{[]string{"server", "--listen", "127.0.0.1:0", "--token", "abcdefghijklmnop", "--label", "a b", "--data", t.TempDir()}, "letters, digits"},
		{[]string{"standalone", "--listen", l.Addr().String(), "--data", t.TempDir()}, "in use"},
		{[]string{"balancer", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--pprof", ":0"}, "loopback only"},
		{[]string{"standalone", "--no-such-flag"}, "no-such-flag"},
		{[]string{"standalone", "--log-level", "loud"}, "debug, info"},
		{[]string{"status", "--data", t.TempDir()}, "whiskaway standalone"},
		{[]string{"status", "--balancer", "http://127.0.0.1:1"}, "admin token"},
		{[]string{"status", "--balancer", "127.0.0.1:1", "--token", "abcdefghijklmnop"}, `"127.0.0.1:1" is not a URL such as https://`},
		{[]string{"status", "--balancer", "http://me:secret@127.0.0.1:1", "--token", "abcdefghijklmnop"}, "more than a host"},
		{[]string{"server", "--balancer", "http://me:secret@127.0.0.1:1", "--token", "abcdefghijklmnop", "--data", t.TempDir()}, "more than a host"},
		{[]string{"status", "--balancer", "me:secret@127.0.0.1:1", "--token", "abcdefghijklmnop"}, "the address is not a URL such as https://"},
		{[]string{"server", "--balancer", "http://127.0.0.1:1", "--token", "x", "--drain-timeout", "-1s"}, "--drain-timeout must not be negative"},
		{[]string{"balancer", "--data", t.TempDir(), "--drain-timeout", "-1s"}, "--drain-timeout must not be negative"},
		{[]string{"balancer", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--scale-max", "-1"}, "--scale-max must be at least 1"},
		{[]string{"drain", "x", "--timeout", "-1s"}, "--timeout must not be negative"},
		{[]string{"token", "create", "--data", t.TempDir()}, "--role join, client or admin"},
		{[]string{"token", "list", "--data", t.TempDir()}, "say with --data"},
		{[]string{"status", "--balancer", "http://" + l.Addr().String() + "x", "--token", "abcdefghijklmnop"}, "whiskaway:"},
	} {
		out := fails(t, c.args...)
		if strings.Contains(out, "secret") {
			t.Errorf("whiskaway %v tells a password: %q", c.args, out)
		}
		if !strings.Contains(out, c.want) || strings.Contains(out, "goroutine") {
			t.Errorf("whiskaway %v said %q, which lacks %q", c.args, out, c.want)
		}
	}
}

func TestStatusSaysThatNothingRunsThere(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	p.waitFor("listening on")
	p.stop()
	if out := fails(t, "status", "--data", dir); !strings.Contains(out, "is not running") {
		t.Errorf("status of a balancer that has ended said %q", out)
	}
	p = start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	p.waitFor("listening on")
	p.kill()
	if out := fails(t, "status", "--data", dir); !strings.Contains(out, "does not run any more: start it") {
		t.Errorf("status of a balancer that was killed said %q", out)
	}
}

func TestTwoServersCannotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "server", "--listen", "127.0.0.1:0", "--token", "abcdefghijklmnop", "--data", dir)
	p.waitFor("listening on")
	if out := fails(t, "server", "--listen", "127.0.0.1:0", "--token", "abcdefghijklmnop", "--data", dir); !strings.Contains(out, dir) {
		t.Errorf("the second server said %q", out)
	}
}

func TestBadLeaseIsRefused(t *testing.T) {
	for _, value := range []string{"60", "10ms", "2h", "-1s", "soon"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, "runtime", "--listen", "127.0.0.1:0")
		cmd.Env = append(cleanEnv(t), "WHISKAWAY_LEASE="+value)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "WHISKAWAY_LEASE") || !strings.Contains(string(out), "such as 60s") {
			t.Errorf("%q: %v\n%s", value, err, out)
		}
	}
}
