package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/wire"
)

// hosts opens the Hosts that a runtime's function asks for, once each.
type hosts struct {
	dir        string
	concurrent bool
	log        *slog.Logger

	mu      sync.Mutex
	machine *machine
	here    *server.Server
	clients map[string]*wire.Client // by URL
}

// asLongAsTheContainer is longer than any container lives.
const asLongAsTheContainer = 10 * 365 * 24 * time.Hour

// local returns the Host over this machine's workers. Its data are in the
// runtime's own temporary directory: a container keeps nothing.
func (h *hosts) local(ctx context.Context) (function.Host, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.here != nil {
		return h.here, nil
	}
	// The container is the sandbox here: what it lets a function do is the platform's business.
	flags := &machineFlags{
		sandbox: cmp.Or(os.Getenv("WHISKAWAY_SANDBOX"), string(sandbox.LevelProcess)),
		memory:  cmp.Or(os.Getenv("WHISKAWAY_MEMORY"), "80%"),
		network: string(sandbox.NetworkHost), disk: "10g", cache: "50g",
		// A container that was frozen, or idle, for long still has its function warm.
		idle: asLongAsTheContainer, grace: asLongAsTheContainer,
	}
	m, err := findOut(ctx, h.log, flags, h.dir)
	if err != nil {
		return nil, err
	}
	c := server.Config{Dir: filepath.Join(h.dir, "server"), EnvsDir: os.Getenv("WHISKAWAY_ENVIRONMENTS")}
	if !h.concurrent {
		flags.workers = 1
	}
	if h.here, err = m.openServer(ctx, c, flags); err != nil {
		m.close()
		return nil, err
	}
	h.machine = m
	return h.here, nil
}

// remote returns the Host that a target names.
func (h *hosts) remote(_ context.Context, target *function.Target) (function.Host, error) {
	own := os.Getenv("WHISKAWAY_BALANCER")
	url := cmp.Or(target.Host, own)
	if url == "" {
		return nil, function.Errorf(function.CodeNoCapacity,
			"main asks for another machine by a label, but this runtime knows no balancer; the operator sets WHISKAWAY_BALANCER and WHISKAWAY_TOKEN, or main names a host, as in main@gpu.example.com")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.clients[url]; c != nil {
		return c, nil
	}
	token, err := tokenFor(url, own)
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
func tokenFor(url, own string) (string, error) {
	if url == own {
		return secretOf(os.Getenv("WHISKAWAY_TOKEN"), "WHISKAWAY_TOKEN_FILE")
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
	if h.here != nil {
		closeWithin(workerTimeout, h.log, "the function's workers", h.here.Close)
		h.machine.close()
	}
}
