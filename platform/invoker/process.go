//go:build unix

package invoker

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The file descriptors that a child finds beside the usual three.
const (
	lifelineFD = 3 // read end of a pipe; its first line is the container's key, its end means: exit
	readyFD    = 4 // write "host:port\n" here once you listen
)

// ProcessConfig says how the process driver starts a runtime.
type ProcessConfig struct {
	Command []string // argv; the child must serve /init and /run on a port of its own choice
	Dir     string   // where it runs; empty: here
	Env     []string // NAME=value, beside the little that every process needs
	// APIHost is what functions find in __OW_API_HOST.
	APIHost string
	// StartTimeout bounds the time until it listens; 0: 30 s.
	StartTimeout time.Duration
	// Grace is the time between SIGTERM and SIGKILL; 0: 1 s.
	Grace time.Duration
	// Freeze stops what the runtime with this pid runs, and returns what lets it go
	// on. The runtime itself must stay awake: it ends with its lifeline. nil: nothing is ever paused.
	Freeze func(pid int) (thaw func(), err error)
	Log    *slog.Logger
}

// Process is a Driver whose containers are child processes of this one.
//
// A child gets fd 3, the lifeline: when this process dies, also by kill -9, the
// child reads its end there and exits. On fd 4 it writes its address. The
// variables WHISKAWAY_LIFELINE_FD and WHISKAWAY_READY_FD say so. Whatever runs on this machine may reach that
// address, other namespaces' actions too, so the child answers only who shows the key that is the lifeline's
// first line, as WHISKAWAY_LIFELINE_KEY says.
type Process struct{ cfg ProcessConfig }

// NewProcess returns the driver. Command must name a program that exists.
func NewProcess(cfg ProcessConfig) (*Process, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("the process driver needs the command that starts a runtime")
	}
	if _, err := exec.LookPath(cfg.Command[0]); err != nil {
		return nil, fmt.Errorf("the command that starts a runtime: %w", err)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = time.Second
	}
	return &Process{cfg}, nil
}

// inherited are the variables of this process that a child also gets.
var inherited = []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"}

func (d *Process) environment(spec Spec) []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, d.cfg.Env...)
	if spec.Env[allowConcurrent] == "" {
		// Where runs overlap, a runtime has several processes, and makes room for as many as it expects to
		// need: that can be more than they use.
		env = append(env, fmt.Sprintf("WHISKAWAY_MEMORY=%dm", spec.Memory))
	}
	if spec.Action == "" { // it has time
		env = append(env, "WHISKAWAY_PREPARE=1")
	}
	for name, value := range spec.Env {
		env = append(env, name+"="+value)
	}
	return append(env,
		"WHISKAWAY_KIND="+spec.Kind,
		"__OW_API_HOST="+d.cfg.APIHost,
		fmt.Sprintf("WHISKAWAY_LIFELINE_FD=%d", lifelineFD), "WHISKAWAY_LIFELINE_KEY=1",
		fmt.Sprintf("WHISKAWAY_READY_FD=%d", readyFD))
}

// Start implements Driver.
func (d *Process) Start(ctx context.Context, spec Spec) (Container, error) {
	if spec.Image != "" {
		return nil, fmt.Errorf("the action has an image of its own (%s), which needs containers: the platform must be started with --driver docker", spec.Image)
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.StartTimeout)
	defer cancel()
	p, ready, err := d.spawn(spec)
	if err != nil {
		return nil, fmt.Errorf("starting a runtime for %s: %w", spec.Kind, err)
	}
	defer ready.Close()
	p.addr, err = readAddr(ctx, ready)
	if err != nil {
		p.kill(context.Background(), 0)
		said := p.closeLogs()
		return nil, fmt.Errorf("starting a runtime for %s: %w%s", spec.Kind, err, said)
	}
	return p, nil
}

// spawn starts the child and returns the read end of its ready pipe.
func (d *Process) spawn(spec Spec) (*process, *os.File, error) {
	var pipes pipes
	defer pipes.closeTheirs()
	lifelineR, lifelineW := pipes.add(false)
	readyR, readyW := pipes.add(true)
	outR, outW := pipes.add(true)
	errR, errW := pipes.add(true)
	if pipes.err != nil {
		pipes.closeOurs()
		return nil, nil, fmt.Errorf("making pipes: %w", pipes.err)
	}
	cmd := exec.Command(d.cfg.Command[0], d.cfg.Command[1:]...)
	cmd.Dir, cmd.Env = d.cfg.Dir, d.environment(spec)
	cmd.Stdout, cmd.Stderr = outW, errW
	cmd.ExtraFiles = []*os.File{lifelineR, readyW} // fd 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		pipes.closeOurs()
		return nil, nil, err
	}
	p := &process{cmd: cmd, key: rand.Text(), lifeline: lifelineW, stdout: outR, stderr: errR, grace: d.cfg.Grace, freeze: d.cfg.Freeze, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		err := cmd.Wait()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left in its group
		d.cfg.Log.Debug("a runtime ended", "name", spec.Name, "pid", cmd.Process.Pid, "how", err)
	}()
	// It fits into the pipe. Where it fails, the child has ended, and so says its ready pipe.
	fmt.Fprintln(lifelineW, p.key)
	return p, readyR, nil
}

// pipes gathers pairs of files, of which the child gets one each.
type pipes struct {
	ours, theirs []*os.File
	err          error
}

// add returns a new pipe; weRead says which end is ours.
func (p *pipes) add(weRead bool) (r, w *os.File) {
	if p.err != nil {
		return nil, nil
	}
	r, w, p.err = os.Pipe()
	switch {
	case p.err != nil:
	case weRead:
		p.ours, p.theirs = append(p.ours, r), append(p.theirs, w)
	default:
		p.ours, p.theirs = append(p.ours, w), append(p.theirs, r)
	}
	return r, w
}

func (p *pipes) closeOurs()   { closeAll(p.ours) }
func (p *pipes) closeTheirs() { closeAll(p.theirs) }

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// readAddr waits for the line that says where the child listens.
func readAddr(ctx context.Context, ready *os.File) (string, error) {
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(ready, 256)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("it did not say in time where it listens: %w", ctx.Err())
	case err != nil:
		return "", errors.New("it ended before it said where it listens")
	}
	addr := strings.TrimSpace(line)
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return "", fmt.Errorf("it said that it listens on %q, which is no address", addr)
	}
	return addr, nil
}

// A process is a Container that is a child process.
type process struct {
	cmd            *exec.Cmd
	addr           string
	key            string
	lifeline       *os.File // closing it ends the child
	stdout, stderr *os.File
	grace          time.Duration
	freeze         func(pid int) (thaw func(), err error)
	thaw           func() // while it is paused
	done           chan struct{}
}

func (p *process) Addr() string                         { return p.addr }
func (p *process) Key() string                          { return p.key }
func (p *process) Logs() (stdout, stderr io.ReadCloser) { return p.stdout, p.stderr }
func (p *process) Done() <-chan struct{}                { return p.done }

// Pause implements Container: what the runtime runs stands still, the runtime does
// not. A function elsewhere keeps its lease meanwhile.
func (p *process) Pause(context.Context) (err error) {
	if p.freeze != nil {
		p.thaw, err = p.freeze(p.cmd.Process.Pid)
	}
	return err
}

// Resume implements Container.
func (p *process) Resume(context.Context) error {
	if p.thaw != nil {
		p.thaw()
		p.thaw = nil
	}
	return nil
}

// Kill implements Container: SIGTERM, and after the grace SIGKILL, to all of the
// child's process group. The lifeline is closed as well.
func (p *process) Kill(ctx context.Context) error { return p.kill(ctx, p.grace) }

func (p *process) kill(ctx context.Context, grace time.Duration) error {
	p.lifeline.Close()
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	p.signal(syscall.SIGKILL)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("killing the runtime with pid %d: %w", p.cmd.Process.Pid, ctx.Err())
	}
}

// signal reaches the whole group, unless the child has ended: then the group was
// killed, and its number may be another's by now.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// closeLogs ends the pipes of a child that never came to serve, and returns the
// end of what it said, for the error.
func (p *process) closeLogs() string {
	defer closeAll([]*os.File{p.stdout, p.stderr})
	p.stderr.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	said, _ := io.ReadAll(io.LimitReader(p.stderr, 4096))
	if text := strings.TrimSpace(string(said)); text != "" {
		return "; it said: " + text
	}
	return ""
}
