package test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// dialer tries to get out, in each way that it is told, and tells what became of it: "ok", or the error's name. A
// UDP connect sends nothing.
const dialer = `
import errno, socket
MPTCP, FASTOPEN = 262, 0x20000000
def attempt(how, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if how in ("udp", "sendto", "ping") else socket.SOCK_STREAM
    protocol = {"mptcp": MPTCP, "ping": socket.IPPROTO_ICMP}.get(how, 0)
    with socket.socket(family, kind, protocol) as s:
        s.settimeout(3)
        if how == "sendto": s.sendto(b"x", (host, port))
        elif how == "fastopen": s.sendto(b"x", FASTOPEN, (host, port))
        else: s.connect((host, port))
def main(args):
    answer = {}
    for how, host, port in args["targets"]:
        try:
            attempt(how, host, port)
            became = "ok"
        except socket.timeout:
            became = "timeout"
        except OSError as e:
            became = errno.errorcode.get(e.errno, str(e))
        answer["%s %s %d" % (how, host, port)] = became
    return answer
`

// dialerJS does as Node.js functions do, and fetches.
const dialerJS = `
exports.main = async args => {
  try {
    await fetch(args.url, { signal: AbortSignal.timeout(3000) })
    return { became: 'ok' }
  } catch (e) {
    return { became: e.cause?.code ?? e.name }
  }
}
`

// A doorbell listens, and counts who came.
type doorbell struct {
	host string
	port int
	rung atomic.Int64
}

// bell listens at host for TCP, and for UDP at the same port.
func bell(t *testing.T, host string) *doorbell {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("nobody can listen on %s: %v", host, err)
	}
	b := &doorbell{host: host, port: l.Addr().(*net.TCPAddr).Port}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.rung.Add(1)
			c.Close()
		}
	}()
	go func() {
		for {
			if _, _, err := p.ReadFrom(make([]byte, 10)); err != nil {
				return
			}
			b.rung.Add(1)
		}
	}()
	return b
}

// A target is where, and how, a function tries to get.
type target struct {
	how, host string
	port      int
}

func (x target) String() string { return fmt.Sprintf("%s %s %d", x.how, x.host, x.port) }

// dial lets a function try, and returns what became of each.
func (g *guest) dial(targets ...target) map[string]string {
	g.t.Helper()
	var list []string
	for _, x := range targets {
		list = append(list, fmt.Sprintf("[%q,%q,%d]", x.how, x.host, x.port))
	}
	became := map[string]string{}
	for what, how := range g.run(`{"targets":[` + strings.Join(list, ",") + `]}`) {
		became[what] = how.(string)
	}
	return became
}

// ownPort is that of the server itself.
func (d *solo) ownPort() int {
	d.t.Helper()
	var port int
	if _, err := fmt.Sscanf(d.waitFor(`server listening on http://127\.0\.0\.1:(\d+)`), "%d", &port); err != nil {
		d.t.Fatal(err)
	}
	return port
}

// somewhere is a public address. Nothing is sent there but where all is allowed anyway.
const somewhere = "192.0.9.1"

func TestNetworkNoneReachesNothing(t *testing.T) {
	door := bell(t, "127.0.0.1")
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t, "--network", "none")
			reachesNothing(t, d, door)
			t.Run("dependencies still come", func(t *testing.T) {
				for _, r := range recipes(t) {
					if r.needs != nil {
						t.Run(r.name, func(t *testing.T) { d.cook(t, r) })
					}
				}
			})
		})
	}
	for _, level := range []string{"process", "off"} {
		t.Run("sandbox "+level, func(t *testing.T) {
			reachesNothing(t, startSolo(t, "--network", "none", "--sandbox", level), door)
		})
	}
	if n := door.rung.Load(); n > 0 {
		t.Errorf("%d came to the door", n)
	}
}

func reachesNothing(t *testing.T, d *solo, door *doorbell) {
	t.Helper()
	d.wantWalls(t, "network: none")
	targets := []target{{"udp", somewhere, 53}, {"udp", "2606:4700::1111", 53}}
	for _, how := range []string{"tcp", "udp", "sendto", "fastopen", "mptcp"} {
		targets = append(targets, target{how, somewhere, 443}, target{how, "169.254.169.254", 80})
	}
	for _, how := range []string{"tcp", "fastopen", "mptcp"} { // UDP to a loopback of its own goes nowhere, silently
		targets = append(targets, target{how, door.host, door.port}, target{how, "127.0.0.1", d.ownPort()}, target{how, "0.0.0.0", d.ownPort()}, target{how, "::1", d.ownPort()})
	}
	targets = append(targets, target{"sendto", door.host, door.port})
	for what, how := range d.init(specOf("python:3", dialer), dialer).dial(targets...) {
		if how == "ok" && !strings.HasPrefix(what, "sendto 127.0.0.1") || how == "timeout" {
			t.Errorf("%s: %s", what, how)
		}
	}
	url := fmt.Sprintf(`{"url":"http://127.0.0.1:%d/"}`, d.ownPort())
	if became := d.init(specOf("nodejs:20", dialerJS), dialerJS).run(url)["became"]; became == "ok" || became == "TimeoutError" {
		t.Errorf("fetch: %v", became)
	}
	// An event loop needs sockets too, of its own.
	const loop = "import asyncio\nasync def main(args):\n    await asyncio.sleep(0.001)\n    return {'ok': True}\n"
	if ok := d.init(specOf("python:3", loop), loop).run(`{}`)["ok"]; ok != true {
		t.Errorf("an async function: %v", ok)
	}
}

func (d *solo) wantWalls(t *testing.T, words ...string) {
	t.Helper()
	walls := d.status().Servers[0].Walls
	t.Logf("enforced: %s", strings.Join(walls, ", "))
	for _, w := range words {
		if !slices.Contains(walls, w) {
			t.Errorf("the status does not say %q, but %q", w, walls)
		}
		if !strings.Contains(d.log(), w) {
			t.Errorf("the log does not say %q", w)
		}
	}
}

// privateTargets are all that "public" keeps functions from, by all the names that we know.
func privateTargets(door *doorbell, own int) []target {
	var all []target
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.100.100.200", "169.254.169.254", "168.63.129.16",
		"::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fe80::1", "2002:7f00:1::"} {
		for _, how := range []string{"tcp", "udp", "sendto", "fastopen", "mptcp"} {
			all = append(all, target{how, host, door.port})
		}
	}
	return append(all, target{"tcp", "127.0.0.1", own}, target{"tcp", "::ffff:127.0.0.1", own}, target{"ping", "127.0.0.1", 0}, target{"ping", somewhere, 0})
}

func TestNetworkPublicKeepsFromEveryPrivateAddress(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("it takes root on Linux")
	}
	door := bell(t, "127.0.0.1")
	if why := refusal(t, nil, t.TempDir(), "--network", "public"); why != "" {
		t.Skipf("the network public cannot be had here: %s", why)
	}
	d := startSolo(t, "--network", "public")
	d.wantWalls(t, "network: public")
	g := d.init(specOf("python:3", dialer), dialer)
	targets := privateTargets(door, d.ownPort())
	for _, host := range ownAddresses(t) {
		targets = append(targets, target{"tcp", host, door.port}, target{"udp", host, door.port})
	}
	for what, how := range g.dial(targets...) {
		never := how == "EACCES" && strings.HasPrefix(what, "ping") || how == "EPROTONOSUPPORT" && strings.HasPrefix(what, "mptcp") // the machine has no such socket
		if how != "EPERM" && !never {
			t.Errorf("%s: %s, want EPERM", what, how)
		}
	}
	for what, how := range g.dial(target{"udp", somewhere, 443}, target{"udp", "2606:4700::1111", 443}, target{"udp", "::ffff:" + somewhere, 443}) {
		t.Logf("public: %s: %s", what, how)
		if how == "EPERM" {
			t.Errorf("the public %s is refused", what)
		}
	}
	for _, server := range privateNameservers(t) {
		became := g.dial(target{"udp", server, 53}, target{"udp", server, 54}, target{"tcp", server, 80})
		if became[fmt.Sprintf("udp %s 53", server)] == "EPERM" || became[fmt.Sprintf("udp %s 54", server)] != "EPERM" || became[fmt.Sprintf("tcp %s 80", server)] != "EPERM" {
			t.Errorf("the nameserver: %v", became)
		}
	}
	url := fmt.Sprintf(`{"url":"http://127.0.0.1:%d/"}`, d.ownPort())
	if became := d.init(specOf("nodejs:20", dialerJS), dialerJS).run(url)["became"]; became != "EPERM" {
		t.Errorf("fetch: %v", became)
	}
	if n := door.rung.Load(); n > 0 {
		t.Errorf("%d came to the door", n)
	}
}

// privateNameservers are those that answer names here, and may be asked for nothing else.
func privateNameservers(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if ip := net.ParseIP(fields[1]); ip.IsPrivate() || ip.IsLoopback() {
			all = append(all, fields[1])
		}
	}
	return all
}

// ownAddresses are this machine's that are private.
func ownAddresses(t *testing.T) []string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsPrivate() {
			all = append(all, ip.IP.String())
		}
	}
	return all
}

// Workers that come later are kept from them too, and so is what they start; a server that is killed leaves nothing
// that would stand in the next one's way.
func TestNetworkPublicHoldsForLaterWorkersAndChildren(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("it takes root on Linux")
	}
	dir := publicDir(t, 0)
	if why := refusal(t, nil, dir, "--network", "public"); why != "" {
		t.Skipf("the network public cannot be had here: %s", why)
	}
	const code = `
import os, subprocess, sys
probe = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.connect(('127.0.0.1', 1)); print('ok')\nexcept OSError as e: print(e.errno)\n"
def main(args):
    return {"child": subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, start_new_session=True).stdout.strip()}
`
	d := startSoloBehind(t, nil, dir, "--network", "public")
	for range 2 {
		for i := range 3 {
			g := d.init(specOf("python:3", code+fmt.Sprintf("# %d\n", i)), code+fmt.Sprintf("# %d\n", i))
			if got := g.run(`{}`)["child"]; got != "1" { // EPERM
				t.Errorf("function %d: its child got %v", i, got)
			}
			g.stop()
		}
		d.kill()
		d = startSoloBehind(t, nil, dir, "--network", "public")
	}
}

// Where a network cannot be had, the server says why and what to do, and does not start with less.
func TestNetworkPublicIsRefusedWhereItCannotBeHad(t *testing.T) {
	if why := refusal(t, nil, t.TempDir(), "--network", "public", "--sandbox", "process"); !strings.Contains(why, "--network public") || !strings.Contains(why, "--sandbox full") {
		t.Errorf("with --sandbox process it says %q", why)
	}
	if os.Geteuid() != 0 {
		return
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is missing")
	}
	asNobody := []string{setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"}
	why := refusal(t, asNobody, publicDir(t, nobody), "--network", "public")
	for _, word := range []string{"network public cannot be had here", "cgroup", "use host or none"} {
		if !strings.Contains(why, word) {
			t.Errorf("%q does not say %q", why, word)
		}
	}
	if _, has := environments(t)["root without CAP_SYS_ADMIN"]; !has {
		return
	}
	// Whether this one can is the kernel's affair; a server that starts must mean it.
	t.Run("root without CAP_SYS_ADMIN", func(t *testing.T) {
		before := []string{setpriv, "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "/usr/bin/python3", "-c", withoutUserNamespaces}
		why := refusal(t, before, publicDir(t, 0), "--network", "public")
		t.Logf("it says %q", why)
		if why != "" {
			if !strings.Contains(why, "use host or none") {
				t.Errorf("it says %q", why)
			}
			return
		}
		d := startSoloBehind(t, before, publicDir(t, 0), "--network", "public")
		d.wantWalls(t, "network: public")
		for what, how := range d.init(specOf("python:3", dialer), dialer).dial(target{"tcp", "127.0.0.1", d.ownPort()}, target{"udp", "::1", 1}) {
			if how != "EPERM" {
				t.Errorf("%s: %s", what, how)
			}
		}
	})
}

// refusal starts a server, and returns what it says before it ends, without its log; or "" when it serves.
func refusal(t *testing.T, before []string, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	line := slices.Concat(before, []string{binary, "server", "--listen", "127.0.0.1:0", "--token", soloToken, "--data", dir}, args)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = cleanEnv(t)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, _ := out.Read(make([]byte, 100)) // its address, or the end
	cancel()
	err = cmd.Wait()
	if n > 0 {
		return ""
	}
	if err == nil {
		t.Errorf("%v: it ended without an error: %s", args, errors.String())
	}
	var lines []string
	for line := range strings.Lines(errors.String()) {
		if !strings.HasPrefix(line, "time=") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

func TestNetworkHostReachesTheMachine(t *testing.T) {
	door := bell(t, "127.0.0.1")
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t)
			if walls := d.status().Servers[0].Walls; slices.ContainsFunc(walls, func(w string) bool { return strings.HasPrefix(w, "network") }) {
				t.Errorf("the status says %q", walls)
			}
			before := door.rung.Load()
			for what, how := range d.init(specOf("python:3", dialer), dialer).dial(target{"tcp", door.host, door.port}, target{"udp", somewhere, 443}) {
				if how != "ok" && !strings.HasPrefix(what, "udp") || how == "EPERM" {
					t.Errorf("%s: %s", what, how)
				}
			}
			eventually(t, "the function comes to the door", func() bool { return door.rung.Load() > before })
		})
	}
}

// A flag with a value that makes no sense ends the server with one line that names it.
func TestWrongValuesOfServerFlagsAreExplained(t *testing.T) {
	here := t.TempDir()
	plain := filepath.Join(here, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, value, want string }{
		{"--network", "internet", "host, public or none"},
		{"--network", "", "host, public or none"},
		{"--sandbox", "some", "full, process or off"},
		{"--memory", "much", "512m or 8g"},
		{"--memory", "101%", "share of the machine"},
		{"--memory", "0", "size"},
		{"--disk", "-5", "512m or 8g"},
		{"--cache", "1x", "512m or 8g"},
		{"--workers", "-1", "number from 1 on"},
		{"--workers", "many", "invalid"},
		{"--idle", "x", "invalid"},
		{"--idle", "-1s", "such as 5m"},
		{"--lease-grace", "-1s", "such as 1m"},
		{"--share", plain, "no such directory"},
		{"--kind", "python=/usr/bin/python3", "python:3.12=/path"},
		{"--kind", "python:3=python3", "python:3.12=/path"},
		{"--kind", "cobol:1=/bin/sh", "compiler script"},
		{"--kind", "python:3.7=/nonexistent", "no such file"},
		{"--kind", "python:3=/bin/sh", "does not say what it is"},
		{"--kind", "python:2.1=/usr/bin/python3", "its version is 3"},
		{"--compiler", "sh=/bin/sh", "ruby:2.5=/path/to/compile"},
		{"--compiler", "sh:1=" + plain, "not executable"},
		{"--compiler", "sh:1=" + here, "not executable"},
		{"--compiler", "sh:1=/nonexistent", "no such file"},
		{"--compiler", "native:default=/bin/sh", "there already"},
		{"--label", "a,b", "letters, digits"},
	} {
		why := refusal(t, nil, t.TempDir(), c.flag, c.value)
		if !strings.HasPrefix(why, "whiskaway: ") || strings.Contains(why, "\n") || !strings.Contains(why, c.flag) || !strings.Contains(why, c.want) {
			t.Errorf("%s %q: it says %q, want %q", c.flag, c.value, why, c.want)
		}
	}
}
