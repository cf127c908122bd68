package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/server"
)

// machineFlags say what functions may have of this machine.
type machineFlags struct {
	sandbox, network, memory string
	cache, disk              string
	workers                  int
	grace, idle              time.Duration
	shared                   []string
	interpreters, compilers  []string
	// No flags: what no function may see besides, what a runtime's container says, and the one language
	// that is needed there.
	hidden   []string // directories
	group    string   // the name of our control groups; empty: one by the data directory
	secrets  secrets
	proxy    kind.Proxy
	language string
}

func (m *machineFlags) add(f *pflag.FlagSet) {
	f.StringVar(&m.sandbox, "sandbox", string(sandbox.LevelFull), "the walls around functions: full (all that this machine allows), process (none outlives us, nothing more) or off")
	f.StringVar(&m.network, "network", string(sandbox.NetworkHost), "what functions may reach: host (all that this machine can), public (no loopback, private or metadata addresses) or none")
	f.StringVar(&m.memory, "memory", "80%", "the memory of all functions together: a size such as 8g, or a share of the machine's such as 50%")
	f.IntVar(&m.workers, "workers", 0, "processes of one function at most, when it does not say itself (default: 16, or 4 for each CPU)")
	f.StringVar(&m.disk, "disk", "10g", "what one worker may write to its temporary directory")
	f.StringVar(&m.cache, "cache", "50g", "what one namespace may keep in its cache, where models' weights go")
	f.DurationVar(&m.grace, "lease-grace", time.Minute, "how long a function stays that no client holds any more")
	f.DurationVar(&m.idle, "idle", 5*time.Minute, "how long a worker without a run is kept")
	f.StringArrayVar(&m.shared, "share", nil, "a directory that every function may write to; may be repeated")
	f.StringArrayVar(&m.interpreters, "kind", nil, "a further interpreter, as python:3.12=/usr/bin/python3.12; may be repeated")
	f.StringArrayVar(&m.compilers, "compiler", nil, "a further kind by its compiler script of the ActionLoop contract, as ruby:2.5=/path/to/compile; may be repeated")
}

// options is what the sandbox is asked for. hidden are the directories that no function may see.
func (m *machineFlags) options(hidden ...string) (sandbox.Options, error) {
	o := sandbox.Options{Level: sandbox.Level(m.sandbox), Network: sandbox.Network(m.network), Hidden: append(hidden, m.hidden...), Users: true, Guard: len(m.secrets.texts) > 0, Secrets: m.secrets.paths}
	switch o.Level {
	case sandbox.LevelFull, sandbox.LevelProcess, sandbox.LevelOff:
	default:
		return o, fmt.Errorf("--sandbox %s: it is full, process or off", m.sandbox)
	}
	switch o.Network {
	case sandbox.NetworkHost, sandbox.NetworkPublic, sandbox.NetworkNone:
	default:
		return o, fmt.Errorf("--network %s: it is host, public or none", m.network)
	}
	return o, nil
}

// limits adds to c what the flags say.
func (m *machineFlags) limits(c server.Config) (server.Config, error) {
	var err error
	if c.Memory, err = m.memoryBytes(); err != nil {
		return c, fmt.Errorf("--memory: %w", err)
	}
	if c.DiskLimit, err = function.ParseBytes(m.disk); err != nil {
		return c, fmt.Errorf("--disk: %w", err)
	}
	if c.CacheLimit, err = function.ParseBytes(m.cache); err != nil {
		return c, fmt.Errorf("--cache: %w", err)
	}
	if m.workers < 0 {
		return c, fmt.Errorf("--workers %d: it is a number from 1 on", m.workers)
	}
	for _, dir := range m.shared {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return c, fmt.Errorf("--share %s: %w", dir, err)
		}
		if info, err := os.Stat(abs); err != nil || !info.IsDir() {
			return c, fmt.Errorf("--share %s: there is no such directory", dir)
		}
		c.Shared = append(c.Shared, abs)
	}
	c.Workers, c.LeaseGrace, c.IdleTTL = m.workers, m.grace, m.idle
	return c, nil
}

func (m *machineFlags) memoryBytes() (int64, error) {
	share, isShare := strings.CutSuffix(m.memory, "%")
	if !isShare {
		return function.ParseBytes(m.memory)
	}
	percent, err := strconv.ParseFloat(share, 64)
	if err != nil || percent <= 0 || percent > 100 {
		return 0, fmt.Errorf("%q is not a share of the machine; write 50%%, or a size such as 8g", m.memory)
	}
	return int64(float64(server.MachineMemory()) * percent / 100), nil
}
