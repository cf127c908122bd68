package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// label is what the functions of the bench ask for.
const label = "bench"

func startClientServer(ctx context.Context, l *lab, s *setup) error {
	const token = "a-token-for-the-bench-on-loopback-only"
	p, err := l.startWhiskaway(s, "server", "--listen", "127.0.0.1:0", "--token", token, "--label", label, "--data", l.data("server"))
	if err != nil {
		return err
	}
	url, err := p.await(ctx, "listening on ")
	if err != nil {
		return err
	}
	return l.startRuntime(ctx, s, "main@"+label, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+token)
}

// A way is how a run reaches a server through a balancer.
type way struct {
	tls     bool // client to balancer to server; otherwise plain, on loopback
	dialled bool // the balancer dials the server; otherwise the server has dialled home
}

// balancerName is what the table tells the balancer's own CPU by.
const balancerName = "balancer"

func (w way) start(ctx context.Context, l *lab, s *setup) error {
	host, err := w.host()
	if err != nil {
		return err
	}
	data := l.data(s.name + " balancer")
	b, err := l.startWhiskaway(s, balancerName, "--listen", net.JoinHostPort(host, "0"), "--data", data)
	if err != nil {
		return err
	}
	url, err := b.await(ctx, "listening on ")
	if err != nil {
		return err
	}
	if err := w.startServer(ctx, l, s, host, url, data); err != nil {
		return err
	}
	client, err := readToken(data, "client")
	if err != nil {
		return err
	}
	return l.startRuntime(ctx, s, "main@"+label, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+client)
}

// startServer starts the server and waits until it has joined.
func (w way) startServer(ctx context.Context, l *lab, s *setup, host, balancer, data string) error {
	join, err := readToken(data, "join")
	if err != nil {
		return err
	}
	args := []string{"server", "--balancer", balancer, "--token", join, "--label", label, "--data", l.data(s.name + " server")}
	if w.dialled {
		more, err := w.advertise(l, host)
		if err != nil {
			return err
		}
		args = append(args, more...)
	}
	server, err := l.startWhiskaway(s, args...)
	if err != nil {
		return err
	}
	_, err = server.await(ctx, "joined ")
	return err
}

// advertise returns the flags of a server that the balancer can dial.
func (w way) advertise(l *lab, host string) ([]string, error) {
	help, err := exec.Command(l.binary, "server", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "--advertise ") {
		return nil, fmt.Errorf("%w: this binary's server has no --advertise", errCannot)
	}
	addr, err := freeAddress(host)
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if w.tls {
		scheme = "https://"
	}
	return []string{"--listen", addr, "--advertise", scheme + addr}, nil
}

// errCannot is why a setup is left out, and the others are measured.
var errCannot = errors.New("left out")

// host is where the balancer listens. It speaks TLS on every address but
// loopback, so by TLS it is an address of this machine's own: what is sent to that
// never leaves the machine either.
func (w way) host() (string, error) {
	if !w.tls {
		return "127.0.0.1", nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("listing this machine's addresses: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String(), nil
		}
	}
	return "", fmt.Errorf("%w: TLS is for addresses beyond loopback, and this machine has none", errCannot)
}
