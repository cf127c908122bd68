package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/sandbox/cgroup"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/strength"
	"github.com/whiskaway/whiskaway/worker"
)

// A machine is what was found out about this one, once.
type machine struct {
	shim   []string
	hidden string // the directory that functions do not see
	walls  sandbox.Walls
	groups *cgroup.Manager // nil: there are none
	kinds  *kind.Set
	gpus   *gpu.Monitor // nil: there are none
	// strengths are the zero value until measure was called.
	strengths strength.Strengths
	log       *slog.Logger
}

// findOut looks at this machine for a server whose data are in dir. The machine must be closed.
func findOut(ctx context.Context, log *slog.Logger, flags *machineFlags, dir string) (_ *machine, err error) {
	syscall.Umask(0o022) // functions with users of their own read what we unpack; what is secret has a mode of its own
	m := &machine{log: log}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.shim, err = self(shimCommand); err != nil {
		return nil, fmt.Errorf("finding our own program: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	m.hidden = dir
	asked, err := flags.options(dir)
	if err != nil {
		return nil, err
	}
	if err := flags.check(asked); err != nil {
		return nil, err
	}
	asked.Shim, asked.Log = m.shim, log
	if asked.Level == sandbox.LevelFull {
		m.openGroups(cmp.Or(flags.group, groupName(dir)), &asked)
	}
	if m.walls, err = sandbox.Find(ctx, asked); err != nil {
		return nil, err
	}
	if len(flags.secrets.texts) > 0 {
		hideMemory(m.walls)
	}
	if m.kinds, err = m.discover(ctx, flags); err != nil {
		return nil, err
	}
	return m, nil
}

// check refuses what makes no sense before anything is tried, so that nothing else is said.
func (m *machineFlags) check(asked sandbox.Options) error {
	if asked.Network == sandbox.NetworkPublic && asked.Level != sandbox.LevelFull {
		return fmt.Errorf("--network public: it takes --sandbox %s", sandbox.LevelFull)
	}
	if m.idle < 0 { // the server would take its default instead, as for zero
		return fmt.Errorf("--idle %v: it is a time such as 5m, or 1ms for next to none", m.idle)
	}
	if m.grace < 0 {
		return fmt.Errorf("--lease-grace %v: it is a time such as 1m, or 1ms for next to none", m.grace)
	}
	_, err := m.limits(server.Config{})
	return err
}

// openGroups opens the control groups, where there are any, and with them what keeps
// functions to the public network.
func (m *machine) openGroups(name string, asked *sandbox.Options) {
	groups, err := cgroup.Open(name, m.log)
	if err != nil {
		m.log.Info("a wall cannot be used here", "wall", "control groups: "+err.Error()+"; limits are watched instead")
		return
	}
	m.groups = groups
	if asked.Network != sandbox.NetworkPublic {
		return
	}
	if err := groups.Restrict(nameservers()); err != nil {
		m.log.Info("a wall cannot be used here", "wall", "network: public: "+err.Error())
		return
	}
	asked.Public = true
}

// groupName tells the server of one data directory from others'.
func groupName(dir string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:12] }

// containerGroups is what the names of the control groups begin with in which the platform's own runtimes, processes
// as its containers are, keep their functions.
func containerGroups(dir string) string { return "container-" + groupName(dir) }

// nameservers are those of /etc/resolv.conf; see resolv.conf(5).
func nameservers() []netip.Addr {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var all []netip.Addr
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			all = append(all, addr.WithZone(""))
		}
	}
	return all
}

func (m *machine) discover(ctx context.Context, flags *machineFlags) (*kind.Set, error) {
	walls := m.walls
	if sandbox.Network(flags.network) == sandbox.NetworkNone { // what a function may not reach, its dependencies come from
		asked, err := flags.options(m.hidden)
		if err != nil {
			return nil, err
		}
		asked.Shim, asked.Network = m.shim, sandbox.NetworkHost
		if walls, err = sandbox.Find(ctx, asked); err != nil {
			return nil, err
		}
	}
	return kind.Discover(ctx, kind.Options{
		Tool: worker.Tool(m.toolSandbox(walls)), Interpreters: flags.interpreters, Compilers: flags.compilers, Proxy: flags.proxy, Only: flags.language, Usable: m.usable, Log: m.log,
	})
}

// close lets go of what findOut opened.
func (m *machine) close() {
	var errs []error
	if m.gpus != nil {
		errs = append(errs, m.gpus.Close())
	}
	if m.groups != nil {
		errs = append(errs, m.groups.Close())
	}
	if err := errors.Join(errs...); err != nil {
		m.log.Error("letting go of the machine", "error", err)
	}
}

// openServer opens this machine's workers as a Host. c says what is asked for;
// what was found out is added.
func (m *machine) openServer(ctx context.Context, c server.Config, flags *machineFlags) (*server.Server, error) {
	for _, label := range c.Labels {
		if err := function.CheckLabel(label); err != nil {
			return nil, fmt.Errorf("--label: %w", err)
		}
	}
	name, err := os.Hostname()
	if c.Name == "" && err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w; give one with --name", err)
	}
	if c, err = flags.limits(c); err != nil {
		return nil, err
	}
	if m.groups != nil && c.Memory > 0 {
		if err := m.groups.SetBudget(c.Memory); err != nil {
			m.log.Info("a wall cannot be used here", "wall", "a limit on the memory of all functions together: "+err.Error()+"; it is watched instead")
		}
	}
	c.Name = cmp.Or(c.Name, name)
	c.Strength, c.GPUStrengths = m.strengths.CPU, m.strengths.GPUs
	c.Version, c.Kinds, c.Shim, c.Walls, c.Groups, c.GPUs, c.Log = version, m.kinds, m.shim, m.walls, m.groups, m.gpus, m.log
	return server.Open(ctx, c)
}

// findGPUs begins to watch the GPUs. A machine without any, or whose driver does not
// answer, is served without.
func (m *machine) findGPUs(ctx context.Context) {
	source, err := gpu.Open(ctx, gpu.Options{Log: m.log})
	if errors.Is(err, gpu.ErrNoGPU) {
		m.log.Info("no GPU", "why", err)
		return
	}
	if err != nil {
		m.log.Warn("looking for GPUs failed: going on without", "error", err)
		return
	}
	m.gpus = gpu.NewMonitor(source, gpuInterval, m.log)
	if _, err := m.gpus.Refresh(ctx); err != nil {
		m.log.Warn("the GPUs cannot be asked", "error", err)
	}
}

// gpuInterval is how often the GPUs are asked.
const gpuInterval = time.Second

// tellWalls logs once what keeps functions apart here, and what does not.
func (m *machine) tellWalls(host *server.Server) {
	m.log.Info("walls around functions", "enforced", strings.Join(host.Walls(), ", "), "missing", strings.Join(m.walls.Missing(), "; "))
}

// usable reports whether functions can start an interpreter: one below /root may be there for us alone.
func (m *machine) usable(ctx context.Context, c kind.Command) error {
	cfg := sandbox.Config{Path: c.Path, Args: c.Args, Env: c.Env, Dir: "/", Readable: c.Readable, Shim: m.shim, Walls: m.walls}
	if m.walls.OwnUser() {
		cfg.User = nobody
	}
	return sandbox.Run(ctx, cfg, nil)
}

// nobody is the user that stands for any function's; see Debian's base-passwd.
const nobody = 65534

// toolSandbox is in what pip and the like run: strangers' code builds there too.
func (m *machine) toolSandbox(walls sandbox.Walls) worker.ToolSandbox {
	return func() (sandbox.Config, error) {
		c := sandbox.Config{Name: "build", Shim: m.shim, Walls: walls, Log: m.log}
		if m.groups == nil {
			return c, nil
		}
		group, err := m.groups.New(c.Name, cgroup.Limits{Processes: buildProcesses})
		if err != nil {
			return c, fmt.Errorf("making a control group for a build: %w", err)
		}
		c.Started = group.Add
		c.Ended = func() string {
			if err := group.Close(); err != nil {
				m.log.Error("a build's control group could not be removed", "error", err)
			}
			return ""
		}
		return c, nil
	}
}

// buildProcesses bounds the processes and threads of one build.
const buildProcesses = 4096
