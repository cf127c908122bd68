package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// addressFile holds the URL at which a data directory's balancer listens, so
// that `whiskaway status` on the same machine finds it.
const addressFile = "address"

// loopback is how this machine reaches itself.
const loopback = "127.0.0.1"

// urlFile holds the URL for other machines beside it.
const urlFile = "url"

// A face is the wire's handler on an address of ours: TLS by a certificate that the operator
// gives, or else plain on loopback, and TLS by our own authority elsewhere.
type face struct {
	url       string // for other machines
	localURL  string // for this one, whose name others may know and it may not
	listener  net.Listener
	local     net.Listener      // plain, on loopback, for this machine; nil: the other one is for it too
	cert      *wire.Certificate // nil: there is an authority
	authority *wire.Authority
	known     *wire.Tokens // nil: there is one token, which was given
	log       *slog.Logger
}

// listenWire binds addr. dir is where the authority lives.
func listenWire(ctx context.Context, addr, dir string, given *tlsFlags, log *slog.Logger) (*face, error) {
	cert, err := given.open(log)
	if err != nil {
		return nil, err
	}
	f := &face{cert: cert, log: log}
	if cert == nil {
		if f.authority, err = wire.OpenAuthority(dir); err != nil {
			return nil, err
		}
	}
	if f.listener, err = listen(ctx, addr); err != nil {
		return nil, err
	}
	f.url = "http://" + f.listener.Addr().String()
	f.localURL = f.url
	switch {
	case cert != nil:
		if err := f.listenLocally(ctx); err != nil {
			f.listener.Close()
			return nil, err
		}
		f.url = "https://" + f.certified(reachable(f.listener.Addr(), hostname()))
		f.localURL = "http://" + f.local.Addr().String()
	case !f.plain():
		f.url = "https://" + reachable(f.listener.Addr(), hostname())
		f.localURL = "https://" + reachable(f.listener.Addr(), loopback)
	}
	return f, nil
}

// listenLocally opens a port for this machine's own commands and runtimes: the given certificate
// is hardly for the name by which they reach us.
func (f *face) listenLocally(ctx context.Context) (err error) {
	f.local, err = listen(ctx, loopback+":0")
	return err
}

// plain reports whether the face speaks http without TLS: on loopback only.
func (f *face) plain() bool { return f.cert == nil && function.IsLoopback(f.listener.Addr().String()) }

// close closes what serve did not come to serve.
func (f *face) close() {
	f.listener.Close()
	if f.local != nil {
		f.local.Close()
	}
}

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

// fingerprint is what tokens for this face carry.
func (f *face) fingerprint() string {
	if f.cert != nil {
		return f.cert.Fingerprint()
	}
	return f.authority.Fingerprint()
}

// tokens opens the tokens of dir; those that are printed carry our fingerprint. serve follows their changes.
func (f *face) tokens(dir string) (tokens *wire.Tokens, err error) {
	f.known, err = wire.OpenTokens(dir, f.fingerprint())
	return f.known, err
}

// publish writes our addresses for the commands on this machine, and returns what takes them
// away again.
func (f *face) publish(dir string) (func(), error) {
	files := map[string]string{addressFile: f.localURL, urlFile: f.url}
	for name, url := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(url+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("writing our address: %w", err)
		}
	}
	return func() {
		for name := range files {
			os.Remove(filepath.Join(dir, name))
		}
	}, nil
}

// serve answers requests until ctx ends.
func (f *face) serve(ctx context.Context, h *wire.Handler) error {
	defer f.follow(ctx)()
	s := wire.Server{Handler: h, Grace: requestGrace, OnShutdown: h.StopWatches, Log: f.log}
	if f.local == nil {
		return f.serveListener(ctx, s)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.serveListener(ctx, s) })
	local := s
	g.Go(func() error { return local.Serve(ctx, f.local) })
	return g.Wait()
}

func (f *face) serveListener(ctx context.Context, s wire.Server) (err error) {
	if s.TLS, err = f.serverConfig(); err != nil {
		return err
	}
	return s.Serve(ctx, f.listener)
}

// follow takes over changes of the tokens until the func that it returns is called.
func (f *face) follow(ctx context.Context) (stop func()) {
	if f.known == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // also while the last requests end
	var following sync.WaitGroup
	following.Go(func() { f.known.Follow(ctx, f.log) })
	return func() {
		cancel()
		following.Wait()
	}
}

// manageTokens lets admins manage the face's tokens from afar, if it has any of its own.
func (f *face) manageTokens(c wire.HandlerConfig) wire.HandlerConfig {
	if f.known != nil {
		c.Tokens = f.known
	}
	return c
}
