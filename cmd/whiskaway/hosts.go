package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/openserverless"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/wire"
)

// hosts opens the Hosts that a runtime's function asks for, once each.
type hosts struct {
	temp     *scratch // for local
	token    string   // of our own balancer
	settings settings
	log      *slog.Logger

	// platform is what the latest /init of a function here said. It is read while mu may be held by
	// who waits for the reader.
	platform atomic.Pointer[map[string]string]
	secrets  secrets // found before the first function is started, and never changed then

	mu      sync.Mutex
	machine *machine
	here    *server.Server
	clients map[string]*wire.Client // by URL

	protocols map[string]function.Protocol      // that were asked for, by URL
	theirs    map[string]*openserverless.Client // by URL
}

// local returns the Host over this machine's workers. Its data are in the
// runtime's own temporary directory: a container keeps nothing.
func (h *hosts) local(ctx context.Context, platform map[string]string) (function.Host, error) {
	if isOn(os.Getenv("WHISKAWAY_REMOTE_ONLY")) {
		return nil, function.Errorf(function.CodeNoCapacity,
			"functions of this kind run on other machines only, and main does not say on which; write for example main@gpu")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.platform.Store(&platform)
	return h.open(ctx)
}

// prepare opens the Host for functions that run here before there is one: then its start takes less.
func (h *hosts) prepare(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.open(ctx); err != nil && ctx.Err() == nil {
		h.log.Warn("preparing for a function failed; its /init tries again", "error", err)
	}
}

// open returns the Host over this machine's workers. h.mu is held.
func (h *hosts) open(ctx context.Context) (function.Host, error) {
	if h.here != nil {
		return h.here, nil
	}
	dir, err := h.temp.dir()
	if err != nil {
		return nil, err
	}
	flags := h.settings.machineFlags(findSecrets(h.token))
	m, err := findOut(ctx, h.log, flags, dir)
	if err != nil {
		return nil, err
	}
	h.secrets = flags.secrets
	c := server.Config{Dir: filepath.Join(dir, "server"), EnvsDir: os.Getenv("WHISKAWAY_ENVIRONMENTS"), Env: h.env}
	if h.here, err = m.openServer(ctx, c, flags); err != nil {
		m.close()
		return nil, err
	}
	h.machine = m
	return h.here, nil
}

// env is what every function here finds in its environment.
func (h *hosts) env() []string {
	return h.settings.localEnv(*h.platform.Load(), h.secrets)
}

// remote returns the Host that a target names.
func (h *hosts) remote(ctx context.Context, target *function.Target) (function.Host, error) {
	own := os.Getenv("WHISKAWAY_BALANCER")
	url := cmp.Or(target.Host, own)
	if url == "" {
		return nil, function.Errorf(function.CodeNoCapacity,
			"main asks for another machine by a label, but this runtime knows no balancer; the operator sets WHISKAWAY_BALANCER and WHISKAWAY_TOKEN, or main names a host, as in main@gpu.example.com")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	protocol, err := h.protocolOf(ctx, target)
	if err != nil {
		return nil, err
	}
	if protocol == function.ProtocolOpenServerless {
		return h.openServerless(url)
	}
	return h.whiskaway(url, own)
}

// protocolOf returns what the target's host speaks. Where OpenServerless's client mode is switched on,
// a host that main says nothing about may be OpenServerless's, and is asked. h.mu is held.
func (h *hosts) protocolOf(ctx context.Context, target *function.Target) (function.Protocol, error) {
	if target.Host == "" || target.Protocol != "" || !isOn(os.Getenv("OW_ACTIVATE_PROXY_CLIENT")) {
		return target.Protocol, nil
	}
	if known, ok := h.protocols[target.Host]; ok {
		return known, nil
	}
	protocol, err := openserverless.Probe(ctx, target.Host, plainHTTP())
	if err != nil {
		return "", err
	}
	if h.protocols == nil {
		h.protocols = map[string]function.Protocol{}
	}
	h.protocols[target.Host] = protocol
	return protocol, nil
}

// plainHTTP lists the hosts that the operator lets be reached without TLS.
func plainHTTP() []string { return strings.Split(os.Getenv("WHISKAWAY_PLAIN_HTTP"), ",") }

// openServerless returns the Host over a server of OpenServerless. h.mu is held.
func (h *hosts) openServerless(url string) (function.Host, error) {
	if c := h.theirs[url]; c != nil {
		return c, nil
	}
	c, err := openserverless.NewClient(openserverless.ClientConfig{URL: url, PlainHTTP: plainHTTP()})
	if err != nil {
		return nil, err
	}
	if h.theirs == nil {
		h.theirs = map[string]*openserverless.Client{}
	}
	h.theirs[url] = c
	return c, nil
}

// whiskaway returns the Host over one of ours. h.mu is held.
func (h *hosts) whiskaway(url, own string) (function.Host, error) {
	if c := h.clients[url]; c != nil {
		return c, nil
	}
	token, err := h.tokenFor(url, own)
	if err != nil {
		return nil, err
	}
	c, err := wire.NewClient(wire.ClientConfig{URL: url, Token: token, Log: h.log})
	if err != nil {
		return nil, err
	}
	if h.clients == nil {
		h.clients = map[string]*wire.Client{}
	}
	h.clients[url] = c
	return c, nil
}

// tokenFor returns the token of url: our balancer's goes to our balancer only.
func (h *hosts) tokenFor(url, own string) (string, error) {
	if url == own {
		return secretOf(h.token, "WHISKAWAY_TOKEN_FILE")
	}
	path := os.Getenv("WHISKAWAY_TOKENS_FILE")
	if path == "" {
		return "", nil // that host will say that it wants one
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading WHISKAWAY_TOKENS_FILE: %w", err)
	}
	defer f.Close()
	tokens, err := wire.ParseTokensFile(f)
	if err != nil {
		return "", fmt.Errorf("reading WHISKAWAY_TOKENS_FILE: %w", err)
	}
	token, _ := tokens.For(url)
	return token.Text(), nil
}

func (h *hosts) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.clients {
		c.Close()
	}
	for _, c := range h.theirs {
		if err := c.Close(); err != nil {
			h.log.Error("dropping the code of OpenServerless's functions", "error", err)
		}
	}
	if h.here != nil {
		closeWithin(workerTimeout, h.log, "the function's workers", h.here.Close)
		h.machine.close()
	}
}
