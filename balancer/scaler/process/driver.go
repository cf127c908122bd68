package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// A Config says how servers are started.
type Config struct {
	Dir       string   // for this pool alone; one process may use it at a time
	Binary    string   // this program
	Balancer  string   // the URL that servers join
	TokenFile string   // with the token to join by
	Labels    []string // of the servers
	Args      []string // further ones for `whiskaway server`
}

// A Driver starts and stops servers on this machine.
type Driver struct {
	cfg      Config
	children sync.WaitGroup // those that this process has started
}

var (
	_ scaler.Driver = (*Driver)(nil)
	_ scaler.Closer = (*Driver)(nil)
)

// Open makes the pool's directory.
func Open(cfg Config) (*Driver, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for servers: %w", err)
	}
	return &Driver{cfg: cfg}, nil
}

// Start starts n servers, see scaler.Driver. They have no controlling terminal, so
// that Ctrl-C ends the balancer, which then ends them.
func (d *Driver) Start(_ context.Context, label string, n int) error {
	used, err := d.servers()
	if err != nil {
		return err
	}
	for i := 1; n > 0; i++ {
		name := fmt.Sprintf("%s-%d", FileName(label), i)
		if _, there := used[name]; there {
			continue
		}
		if err := d.start(name); err != nil {
			return fmt.Errorf("starting server %s: %w", name, err)
		}
		n--
	}
	return nil
}

// FileName makes a label part of a name: "gpu&region=eu" becomes "gpu-region-eu".
func FileName(label string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, label)
}

func (d *Driver) start(name string) error {
	dir := filepath.Join(d.cfg.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.cfg.Binary, d.args(name)...)
	cmd.Env = append(os.Environ(), "WHISKAWAY_TOKEN_FILE="+d.cfg.TokenFile)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return err
	}
	err = d.record(name, cmd.Process.Pid)
	d.children.Go(func() { cmd.Wait() }) // Close waits for it
	return err
}

func (d *Driver) args(name string) []string {
	args := []string{"server", "--balancer", d.cfg.Balancer, "--name", name, "--data", d.data(name)}
	for _, l := range d.cfg.Labels {
		args = append(args, "--label", l)
	}
	return append(args, d.cfg.Args...)
}

// data is the server's own directory. It is in its command line, and in no other's.
func (d *Driver) data(name string) string { return filepath.Join(d.cfg.Dir, name, "data") }

// Stop tells the server to end, and waits until it has: it takes nothing new, lets
// its runs end, and ends its workers. When ctx ends first, the process is killed. See scaler.Driver.
func (d *Driver) Stop(ctx context.Context, server string) error {
	all, err := d.servers()
	if err != nil {
		return err
	}
	s, there := all[server]
	if !there {
		return nil
	}
	return d.end(ctx, server, s)
}

func (d *Driver) end(ctx context.Context, name string, s server) error {
	if err := s.end(ctx); err != nil {
		return fmt.Errorf("ending server %s: %w", name, err)
	}
	return d.forget(name)
}

// List returns the servers that were started and not stopped, see scaler.Driver.
func (d *Driver) List(context.Context) ([]scaler.Machine, error) {
	all, err := d.servers()
	if err != nil {
		return nil, err
	}
	var machines []scaler.Machine
	for name, s := range all {
		m := scaler.Machine{Server: name, State: scaler.Up, Since: s.recorded}
		if s.ended {
			m.State, m.Why = scaler.Failed, d.lastWords(name)
		}
		machines = append(machines, m)
	}
	slices.SortFunc(machines, func(a, b scaler.Machine) int { return cmp.Compare(a.Server, b.Server) })
	return machines, nil
}

// Close ends all servers, at the same time, and waits for those that are our children.
func (d *Driver) Close(ctx context.Context) error {
	all, err := d.servers()
	if err != nil {
		return err
	}
	errs := make([]error, 0, len(all))
	var ends sync.WaitGroup
	var mu sync.Mutex // guards errs
	for name, s := range all {
		ends.Go(func() {
			err := d.end(ctx, name, s)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	ends.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.children.Wait()
	return nil
}
