package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// whiskaway is a command of the binary.
func (l *lab) whiskaway(args ...string) command {
	return command{name: args[0], path: l.binary, args: append(args, "--log-level", "warn")}
}

// startWhiskaway starts a command of the binary.
func (l *lab) startWhiskaway(s *setup, args ...string) (*process, error) {
	return l.startProfiled(s, l.whiskaway(args...))
}

// startProfiled starts a command of the binary with its profiler, if profiles are wanted.
func (l *lab) startProfiled(s *setup, c command) (*process, error) {
	var addr string
	if l.profile != "" && l.hasProfiler(c) {
		var err error
		if addr, err = freeAddress("127.0.0.1"); err != nil {
			return nil, err
		}
		c.args = append(c.args, "--pprof", addr)
	}
	p, err := l.startProcess(s, c)
	if err != nil {
		return nil, err
	}
	p.pprof = addr
	return p, nil
}

// hasProfiler reports whether this command of the binary knows --pprof.
func (l *lab) hasProfiler(c command) bool {
	return exec.Command(c.path, c.args[0], "--pprof", "127.0.0.1:0", "--help").Run() == nil
}

// freeAddress returns an address of host that was free a moment ago. If somebody
// takes it meanwhile, the process says so and the bench ends.
func freeAddress(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// profileWindow is long enough for a few hundred samples of a busy process.
const profileWindow = 5 * time.Second

// takeProfiles loads each setup once more, which does not count, and writes the
// profiles of its processes.
func (l *lab) takeProfiles(ctx context.Context) error {
	if err := os.MkdirAll(l.profile, 0o755); err != nil {
		return fmt.Errorf("making the directory for profiles: %w", err)
	}
	for _, s := range l.setups {
		g, ctx := errgroup.WithContext(ctx)
		profiled := 0
		for i, p := range s.roots {
			if p.pprof == "" {
				continue
			}
			profiled++
			name := strings.NewReplacer(" ", "", ",", "-", "->", "-", "/", "").Replace(fmt.Sprintf("%s-%d-%s.pprof", s.name, i, p.name))
			g.Go(func() error { return takeProfile(ctx, p.pprof, filepath.Join(l.profile, name)) })
		}
		if profiled == 0 {
			continue
		}
		progress("profile: %s", s.name)
		g.Go(func() error {
			_, err := l.load(ctx, s, slices.Max(l.connections), 0, profileWindow+time.Second)
			return err
		})
		if err := g.Wait(); err != nil {
			return fmt.Errorf("profiling %s: %w", s.name, err)
		}
	}
	return nil
}

func takeProfile(ctx context.Context, addr, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, int(profileWindow.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading a profile: %w", err)
	}
	return os.WriteFile(path, data, 0o644)
}
