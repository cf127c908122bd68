package netns

import (
	"errors"
	"fmt"
	"os/exec"
)

// inner is the network behind each router. It is the same behind all of them, as at home.
const inner = "192.168.1."

// firewall is what a router at home does: those behind it share its address, and
// nothing comes in but answers.
const firewall = `
table ip home {
	chain out {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "eth0" masquerade
	}
	chain through {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		iifname "inside" accept
	}
	chain in {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname { "lo", "inside" } accept
	}
}
`

// HostBehindNAT adds a host behind a router, which translates addresses and drops
// every connection from outside. The host's IP is the router's.
func (n *Network) HostBehindNAT(name string) (*Host, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, errors.New("a router needs nftables; scripts/setup test installs it")
	}
	router, err := n.Host(name + "-router")
	if err != nil {
		return nil, err
	}
	in, err := n.space(name)
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, IP: router.IP, hub: n.hub, port: router.port, in: in}
	if err := n.cable(in, "eth0", router.in, "inside"); err != nil {
		return nil, err
	}
	return h, route(router, h)
}

// route makes the router route for h.
func route(router, h *Host) error {
	if err := router.address("inside", inner+"1/24"); err != nil {
		return err
	}
	if err := h.address("eth0", inner+"2/24"); err != nil {
		return err
	}
	if err := ip("-n", h.in, "route", "add", "default", "via", inner+"1"); err != nil {
		return err
	}
	h.cubic("default", "via", inner+"1")
	if err := setting(router.in, "ip_forward", "1"); err != nil {
		return err
	}
	return router.nft(firewall)
}

// RefuseInbound makes the host's own firewall drop, without a word, every
// connection that others begin.
func (h *Host) RefuseInbound() error {
	return h.nft(`
table ip host {
	chain in {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
	}
}
`)
}

// nft adds to the firewall of the host's namespace.
func (h *Host) nft(rules string) error {
	line := append(h.Inside(), "nft", "-f", "-")
	if err := command(rules, line[0], line[1:]...); err != nil {
		return fmt.Errorf("setting up the firewall of %s: %w", h.Name, err)
	}
	return nil
}
