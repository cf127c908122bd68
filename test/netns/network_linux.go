package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// A Network is a switch with hosts on it. Its methods are for one goroutine.
type Network struct {
	prefix string // of its namespaces' names
	hub    string // the namespace of the switch
	spaces []string
	lines  []*line
	hosts  int
}

const (
	// dir is where iproute2 keeps the namespaces that have names, see ip-netns(8).
	dir = "/run/netns"
	// ours begins the names of all namespaces made here; the process id follows.
	ours = "whiskaway-"
	// subnet is the switch's. Nothing outside ever meets it, so each network has the same.
	subnet = "10.77.0."
	// maxHosts is how many addresses of the subnet there are.
	maxHosts = 250
)

// networks counts what this process has made, so that names differ.
var networks atomic.Int64

// Missing says what a network needs and this machine lacks; nil: nothing.
func Missing() error {
	if os.Getuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("network namespaces need iproute2; scripts/setup test installs it")
	}
	return nil
}

// Start opens a network for a test, which is skipped where there can be none. The
// test's end closes it.
func Start(t testing.TB) *Network {
	t.Helper()
	if err := Missing(); err != nil {
		t.Skip(err)
	}
	n, err := Open()
	if err != nil {
		t.Skip("this machine lets nobody make network namespaces: ", err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Open makes a switch without hosts.
func Open() (*Network, error) {
	sweep()
	n := &Network{prefix: fmt.Sprintf("%s%d-%d-", ours, os.Getpid(), networks.Add(1))}
	hub, err := n.space("hub")
	if err == nil {
		n.hub = hub
		err = ip("-n", hub, "link", "add", "switch", "up", "type", "bridge")
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close removes the hosts, the lines and the switch. Processes that still run in
// a host lose their network.
func (n *Network) Close() error {
	var failed []error
	for _, l := range n.lines {
		failed = append(failed, l.close())
	}
	for _, name := range n.spaces {
		failed = append(failed, ip("netns", "del", name))
	}
	n.lines, n.spaces = nil, nil
	return errors.Join(failed...)
}

// space makes a namespace whose loopback is up.
func (n *Network) space(name string) (string, error) {
	full := n.prefix + name
	if err := ip("netns", "add", full); err != nil {
		return "", err
	}
	n.spaces = append(n.spaces, full)
	return full, ip("-n", full, "link", "set", "lo", "up")
}

// sweep removes what processes left that are no more.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(dir, ours+"*"))
	for _, path := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), ours), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join("/proc", pid)); os.IsNotExist(err) {
			ip("netns", "del", filepath.Base(path)) // another process may be as quick
		}
	}
}

func ip(args ...string) error { return command("", "ip", args...) }

// command runs a command with input on its stdin.
func command(input, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
