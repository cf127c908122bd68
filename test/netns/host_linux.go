package netns

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// A Host is a namespace with one address.
type Host struct {
	Name string
	IP   string // what others on the switch see of it; behind a router, that is the router's
	hub  string // the switch's namespace
	port string // where the switch has it
	in   string // its namespace
	line *line  // nil: a cable
}

// Host adds a host by a cable: a veth pair, as fast as the kernel.
func (n *Network) Host(name string) (*Host, error) {
	h, err := n.newHost(name)
	if err != nil {
		return nil, err
	}
	if err := n.cable(h.in, "eth0", n.hub, h.port); err != nil {
		return nil, err
	}
	return h, n.plug(h)
}

// HostByLine adds a host by a long line.
func (n *Network) HostByLine(name string, how Line) (*Host, error) {
	h, err := n.newHost(name)
	if err != nil {
		return nil, err
	}
	if h.line, err = openLine(how, tapIn(h.in, "eth0"), tapIn(n.hub, h.port)); err != nil {
		return nil, err
	}
	n.lines = append(n.lines, h.line)
	return h, n.plug(h)
}

func (n *Network) newHost(name string) (*Host, error) {
	if n.hosts == maxHosts {
		return nil, fmt.Errorf("a network has %d hosts at most", maxHosts)
	}
	n.hosts++
	in, err := n.space(name)
	return &Host{Name: name, in: in, hub: n.hub, port: fmt.Sprint("port", n.hosts), IP: fmt.Sprint(subnet, n.hosts)}, err
}

// cable connects two namespaces.
func (n *Network) cable(a, deviceA, b, deviceB string) error {
	return ip("link", "add", deviceA, "netns", a, "type", "veth", "peer", "name", deviceB, "netns", b)
}

// plug puts the cable's or the line's ends into the host and the switch.
func (n *Network) plug(h *Host) error {
	if err := h.address("eth0", h.IP+"/24"); err != nil {
		return err
	}
	h.cubic(subnet + "0/24")
	return ip("-n", h.hub, "link", "set", h.port, "master", "switch", "up")
}

// cubic makes the TCP of a route CUBIC, as on most Linux machines, whatever this one
// prefers: where packets are lost that makes a great difference. A kernel that has no
// CUBIC keeps its own.
func (h *Host) cubic(to string, via ...string) {
	ip(slices.Concat([]string{"-n", h.in, "route", "replace", to}, via, []string{"dev", "eth0", "congctl", "cubic"})...)
}

func (h *Host) address(device, cidr string) error {
	if err := ip("-n", h.in, "address", "add", cidr, "dev", device); err != nil {
		return err
	}
	return ip("-n", h.in, "link", "set", device, "up")
}

// Inside is the command that goes before another one so that this runs in the host. It
// becomes that one: the process id stays.
func (h *Host) Inside() []string { return []string{"nsenter", "--net=" + dir + "/" + h.in} }

// DialContext dials from the host, as net.Dialer's does.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := within(h.in, func() (err error) {
		c, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address) // no second goroutine: it would be outside
		return err
	})
	return c, err
}

// Listen listens in the host, as net.Listen does.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	var l net.Listener
	err := within(h.in, func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Cut parts the host from the switch. Both sides' links stay up, and nothing tells
// anybody: packets vanish.
func (h *Host) Cut() error { return ip("-n", h.hub, "link", "set", h.port, "nomaster") }

// Mend undoes Cut.
func (h *Host) Mend() error { return ip("-n", h.hub, "link", "set", h.port, "master", "switch") }

// Traffic returns how many bytes, with all headers, the host has sent and
// received at its end of the switch's port.
func (h *Host) Traffic() (sent, received int64, err error) {
	count := func(what string) (n int64) {
		if err != nil {
			return 0
		}
		var out []byte
		// A mount namespace of its own sees the sysfs of this network namespace.
		out, err = exec.Command("ip", "netns", "exec", h.hub, "cat", "/sys/class/net/"+h.port+"/statistics/"+what).Output()
		if err == nil {
			n, err = strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		}
		return n
	}
	return count("rx_bytes"), count("tx_bytes"), err
}
