package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// addressFile holds the URL at which a data directory's balancer listens, so
// that `whiskaway status` on the same machine finds it.
const addressFile = "address"

// loopback is how this machine reaches itself.
const loopback = "127.0.0.1"

// A face is the wire's handler on an address of ours: plain on loopback, TLS
// by our own authority elsewhere.
type face struct {
	url       string // for other machines
	localURL  string // for this one, whose name others may know and it may not
	listener  net.Listener
	authority *wire.Authority
	log       *slog.Logger
}

// listenWire binds addr. dir is where the authority lives.
func listenWire(ctx context.Context, addr, dir string, log *slog.Logger) (*face, error) {
	authority, err := wire.OpenAuthority(dir)
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	f := &face{listener: l, authority: authority, log: log, url: "http://" + l.Addr().String()}
	f.localURL = f.url
	if !f.plain() {
		f.url = "https://" + reachable(l.Addr(), hostname())
		f.localURL = "https://" + reachable(l.Addr(), loopback)
	}
	return f, nil
}

// plain reports whether the face speaks http without TLS: on loopback only.
func (f *face) plain() bool { return function.IsLoopback(f.listener.Addr().String()) }

// listen binds addr, and says what to do when that fails.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := wire.Listen(ctx, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program; end that one, or choose another address with the flag", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on %s; choose a port above 1023", addr)
	}
	return l, err
}

// reachable returns host:port of addr, with name for the host where the listener
// takes every address.
func reachable(addr net.Addr, name string) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = name
	}
	return net.JoinHostPort(host, port)
}

// hostname is this machine's name, or loopback where it has none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return loopback
	}
	return name
}

// tokens opens the tokens of dir; those it prints pin our authority.
func (f *face) tokens(dir string) (*wire.Tokens, error) {
	return wire.OpenTokens(dir, f.authority.Fingerprint())
}

// publish writes our address for `whiskaway status`, and returns what takes it
// away again.
func (f *face) publish(dir string) (func(), error) {
	path := filepath.Join(dir, addressFile)
	if err := os.WriteFile(path, []byte(f.localURL+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing our address: %w", err)
	}
	return func() { os.Remove(path) }, nil
}

// serve answers requests until ctx ends.
func (f *face) serve(ctx context.Context, h *wire.Handler) error {
	s := wire.Server{Handler: h, Grace: requestGrace, OnShutdown: h.StopWatches, Log: f.log}
	if !f.plain() {
		host, _, err := net.SplitHostPort(reachable(f.listener.Addr(), hostname()))
		if err != nil {
			return err
		}
		if s.TLS, err = f.authority.ServerConfig([]string{host}); err != nil {
			return err
		}
	}
	return s.Serve(ctx, f.listener)
}
