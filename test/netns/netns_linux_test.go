package netns

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second

// must is for what the test needs and does not look at.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// echoes answers at the host's address what it gets, until the test ends.
func echoes(t *testing.T, h *Host, ip string) string {
	l := must[net.Listener](t)(h.Listen("tcp", ip+":0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

// exchange sends size bytes, waits for as many, and returns how long that took.
func exchange(t *testing.T, c net.Conn, size int) time.Duration {
	t.Helper()
	begin := time.Now()
	c.SetDeadline(begin.Add(patience))
	go c.Write(make([]byte, size))
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func dial(t *testing.T, h *Host, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := must[net.Conn](t)(h.DialContext(ctx, "tcp", address))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCable(t *testing.T) {
	n := Start(t)
	a, b := must[*Host](t)(n.Host("a")), must[*Host](t)(n.Host("b"))
	c := dial(t, a, echoes(t, b, b.IP))
	exchange(t, c, 1<<20)
	sent, received, err := a.Traffic()
	if err != nil || sent < 1<<20 || received < 1<<20 {
		t.Errorf("%d bytes sent, %d received, %v", sent, received, err)
	}

	// Cut and mended, the connection goes on, and meanwhile nothing passes.
	if err := b.Cut(); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("through a cut cable: %v", err)
	}
	if err := b.Mend(); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

func TestLongLineDelaysAndLoses(t *testing.T) {
	n := Start(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	far := must[*Host](t)(n.HostByLine("far", Line{Delay: 20 * time.Millisecond, Loss: 0.01, Seed: 1}))
	near := must[*Host](t)(n.Host("near"))
	c := dial(t, near, echoes(t, far, far.IP))
	took := exchange(t, c, 1)
	if took < 40*time.Millisecond {
		t.Errorf("a round trip took %v, less than the line's delay", took)
	}
	took = exchange(t, c, 1<<20)
	t.Logf("1 MB there and back took %v; %d packets were lost", took, far.Lost())
	if far.Lost() == 0 {
		t.Error("no packet was lost")
	}
}

func TestNothingComesInThroughNAT(t *testing.T) {
	n := Start(t)
	inside, err := n.HostBehindNAT("inside")
	if err != nil {
		t.Skip(err)
	}
	own, outside := must[*Host](t)(n.Host("own")), must[*Host](t)(n.Host("outside"))
	exchange(t, dial(t, inside, echoes(t, outside, outside.IP)), 1<<10)
	if err := own.RefuseInbound(); err != nil {
		t.Fatal(err)
	}
	for _, refuses := range []*Host{inside, own} {
		address := echoes(t, refuses, "0.0.0.0")
		_, port, _ := net.SplitHostPort(address)
		exchange(t, dial(t, refuses, "127.0.0.1:"+port), 1) // it is there
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if c, err := outside.DialContext(ctx, "tcp", net.JoinHostPort(refuses.IP, port)); err == nil {
			c.Close()
			t.Errorf("%s let a connection in", refuses.Name)
		}
		cancel()
	}
}

func TestNothingIsLeft(t *testing.T) {
	if err := Missing(); err != nil {
		t.Skip(err)
	}
	dead := ours + strconv.Itoa(1<<22+1) + "-1-hub" // above the greatest process id there is
	if err := ip("netns", "add", dead); err != nil {
		t.Skip(err)
	}
	n := must[*Network](t)(Open())
	must[*Host](t)(n.Host("a"))
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ours+"*"))
	for _, path := range left {
		if name := filepath.Base(path); name == dead || strings.HasPrefix(name, n.prefix) {
			t.Errorf("%s is left", name)
		}
	}
}
