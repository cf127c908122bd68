package main

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns two files that keep packets apart, as devices do.
func pair(t *testing.T) (near, far *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far = os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestLinkDelays(t *testing.T) {
	a, nearA := pair(t)
	b, nearB := pair(t)
	l := &link{delay: 30 * time.Millisecond, a: a, b: b}
	l.start()
	defer l.close()
	begin := time.Now()
	for _, text := range []string{"one", "two"} {
		nearA.WriteString(text)
	}
	var buf [10]byte
	for _, want := range []string{"one", "two"} {
		if n, err := nearB.Read(buf[:]); err != nil || string(buf[:n]) != want {
			t.Fatalf("%q, %v, want %q", buf[:n], err, want)
		}
	}
	if took := time.Since(begin); took < l.delay {
		t.Errorf("it took %v", took)
	}
}

func TestLinkLoses(t *testing.T) {
	a, nearA := pair(t)
	b, nearB := pair(t)
	l := &link{loss: 1, a: a, b: b}
	l.start()
	nearA.WriteString("lost")
	nearB.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	var buf [10]byte
	if n, err := nearB.Read(buf[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", buf[:n], err)
	}
	l.close()
}

// The whole measurement, short: two namespaces, two devices, loss on the way.
func TestMeasure(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	if !startsAgain(t) {
		return
	}
	for _, way := range []string{"pool", "http2"} {
		c := &aCase{options: options{inFlight: 8, window: 500 * time.Millisecond, warmup: 500 * time.Millisecond, congestion: "reno"},
			rtt: 10, loss: 1, mix: "small", way: way}
		if err := c.run(t.Context()); err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		if c.seen.Runs[small] == 0 || c.seen.Failed > 0 || c.seen.P50[small] < 10*time.Millisecond {
			t.Errorf("%s: %+v", way, c.seen)
		}
	}
}

// startsAgain runs this test again in a network namespace of its own, and reports
// whether this is that run.
func startsAgain(t *testing.T) bool {
	if os.Getenv(apartVariable) != "" {
		return true
	}
	cmd, err := again(t.Context(), "", "-test.run=^"+t.Name()+"$", "-test.v")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, apartVariable+"=1")
	out, err := cmd.Output()
	if errors.Is(err, unix.EPERM) {
		t.Skip("this container may not make network namespaces")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// apartVariable says that a test runs in a namespace of its own.
const apartVariable = "WHISKAWAY_BENCH_HOME_APART"

// The ends are this program again: a test's program, too.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}
