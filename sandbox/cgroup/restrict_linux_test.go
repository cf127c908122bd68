package cgroup

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// restricted is a manager with the filter on, or skips the test.
func restricted(t *testing.T, nameservers ...string) *Manager {
	t.Helper()
	m := manager(t)
	var servers []netip.Addr
	for _, s := range nameservers {
		servers = append(servers, netip.MustParseAddr(s))
	}
	if err := m.Restrict(servers); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return m
}

// connector is playConnect in a group and in a network of its own that leads
// nowhere, so that nothing leaves this machine: what is allowed ends in
// ENETUNREACH.
func connector(t *testing.T, join func(pid int) error) *member {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `read go; exec "$@"`, "sh", exe, "connect")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	c := start(t, cmd)
	if err := join(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	c.say(t, "go")
	return c
}

func (m *member) tries(t *testing.T, target netip.AddrPort) string {
	t.Helper()
	m.say(t, target.String())
	return m.line(t)
}

const (
	allAllowed = "allowed allowed allowed allowed"
	allRefused = "refused refused refused refused"
)

// samples are the table's addresses, those at the borders of each range, and
// random ones of each sort.
func samples() []netip.Addr {
	var all []netip.Addr
	for text := range verdicts() {
		all = append(all, netip.MustParseAddr(text))
	}
	for _, prefix := range slices.Concat(refused4(), refused6(), []netip.Prefix{mapped, nat64, globalUnicast}) {
		first := prefix.Addr()
		bytes := first.AsSlice()
		for i := prefix.Bits(); i < 8*len(bytes); i++ {
			bytes[i/8] |= 1 << (7 - i%8)
		}
		last, _ := netip.AddrFromSlice(bytes)
		all = append(all, first, first.Prev(), last, last.Next())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		v4 := [4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
		v6 := netip.MustParseAddr("2000::").As16()
		in64 := nat64.Addr().As16()
		copy(v6[1:4], v4[:])
		copy(in64[12:], v4[:])
		all = append(all, netip.AddrFrom4(v4), netip.AddrFrom16(netip.AddrFrom4(v4).As16()),
			netip.AddrFrom16(v6), netip.AddrFrom16(in64))
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
}

func TestKernelAgreesWithPublic(t *testing.T) {
	m := restricted(t)
	g := newGroup(t, m, Limits{})
	inside := connector(t, g.Add)
	outside := connector(t, func(int) error { return nil })
	for _, addr := range samples() {
		target := netip.AddrPortFrom(addr, 443)
		want := allRefused
		if Public(addr) {
			want = allAllowed
		}
		if got := inside.tries(t, target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
		if got := outside.tries(t, target); got != allAllowed {
			t.Errorf("%s, not in the group: %s", target, got)
		}
	}
	t.Logf("%d addresses", len(samples()))
}

func TestOnlyDNSOfTheNameserversIsLetThrough(t *testing.T) {
	m := restricted(t, "127.0.0.53", "10.1.2.3", "fd00::53", "fe80::53%1")
	g := newGroup(t, m, Limits{})
	inside := connector(t, g.Add)
	for target, want := range map[string]string{
		"127.0.0.53:53":           allAllowed,
		"[::ffff:127.0.0.53]:53":  allAllowed,
		"10.1.2.3:53":             allAllowed,
		"[fd00::53]:53":           allAllowed,
		"[fe80::53]:53":           allAllowed,
		"8.8.8.8:53":              allAllowed,
		"127.0.0.53:54":           allRefused,
		"127.0.0.53:13568":        allRefused, // 53 with its bytes swapped
		"[::ffff:127.0.0.53]:443": allRefused,
		"127.0.0.54:53":           allRefused,
		"10.1.2.2:53":             allRefused,
		"[fd00::53]:443":          allRefused,
		"[fd00::54]:53":           allRefused,
		"[::1]:53":                allRefused,
	} {
		if got := inside.tries(t, netip.MustParseAddrPort(target)); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	if err := m.Restrict(nil); err != nil {
		t.Fatal(err)
	}
	if got := inside.tries(t, netip.MustParseAddrPort("127.0.0.53:53")); got != allRefused {
		t.Errorf("a former nameserver: %s", got)
	}
	if got := inside.tries(t, netip.MustParseAddrPort("8.8.8.8:443")); got != allAllowed {
		t.Errorf("public address after a second call: %s", got)
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	m := restricted(t)
	g := newGroup(t, m, Limits{})
	out := inGroup(t, g, python(t), "-c", `
import socket
kinds = {
  "tcp": (socket.AF_INET, socket.SOCK_STREAM, 0), "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, 6),
  "udp": (socket.AF_INET, socket.SOCK_DGRAM, 0), "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, 17),
  "mptcp": (socket.AF_INET, socket.SOCK_STREAM, 262), "raw": (socket.AF_INET, socket.SOCK_RAW, 255),
  "raw6": (socket.AF_INET6, socket.SOCK_RAW, 58), "ping": (socket.AF_INET, socket.SOCK_DGRAM, 1),
  "unix": (socket.AF_UNIX, socket.SOCK_STREAM, 0),
}
said = []
for name, kind in kinds.items():
    try:
        socket.socket(*kind).close()
        said.append(name)
    except OSError:
        pass
print(" ".join(said), flush=True)
`).line(t)
	if want := "tcp tcp6 udp udp6 unix"; out != want {
		t.Errorf("can be made: %s; want: %s", out, want)
	}
}

// A function that listens is reached, and can answer.
func TestBindAndAcceptStayFree(t *testing.T) {
	m := restricted(t)
	g := newGroup(t, m, Limits{})
	server := inGroup(t, g, python(t), "-c", `
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
c.sendall(b"hello\n")
c.close()
`)
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(server.number(t))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 6)
	if _, err := conn.Read(answer); err != nil || string(answer) != "hello\n" {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestFilterEndsWithItsProcess(t *testing.T) {
	own := restricted(t).trees[0].own
	name := testName(t) + "-2"
	server := part(t, "server", name)
	server.number(t)
	inside := connector(t, func(pid int) error {
		return write(filepath.Join(own, "whiskaway-"+name, "left-1"), "cgroup.procs", strconv.Itoa(pid))
	})
	loopback := netip.MustParseAddrPort("127.0.0.1:80")
	if got := inside.tries(t, loopback); got != allRefused {
		t.Errorf("while the server lives: %s", got)
	}
	server.Process.Kill()
	server.Wait()
	eventually(t, "the filter goes with the server", func() bool {
		return inside.tries(t, loopback) == allAllowed
	})
	m, err := Open(name, slog.New(slog.DiscardHandler)) // removes the rest
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, m)
}

func TestRestrictWithoutVersion2SaysWhy(t *testing.T) {
	m := managerOn(t, v1Only(t))
	err := m.Restrict(nil)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "version 2") {
		t.Error(err)
	}
}
