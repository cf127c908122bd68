package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Process is a command that was started, with all its descendants.
type Process struct {
	Stdin  *os.File // write end
	Stdout *os.File // read end
	Stderr *os.File // read end
	Result *os.File // read end of the command's file descriptor 3

	shim      *os.Process
	mode      Mode
	lifeline  *os.File // write end; closing it ends the shim
	status    *os.File // read end; the shim tells the command's end
	done      chan struct{}
	exit      Exit // written before done is closed
	cause     atomic.Pointer[string]
	ended     func() (cause string) // may be nil
	killOnce  sync.Once
	closeOnce sync.Once
}

// Start starts the command. That it could not be executed shows up as its Exit.
// The caller must Close the process.
func Start(cfg Config) (*Process, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(cfg.order())
	if err != nil {
		return nil, fmt.Errorf("describing the command: %w", err)
	}
	pp, err := openPipes()
	if err != nil {
		return nil, err
	}
	shim, err := startShim(cfg.Walls.mode(), cfg.Shim, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: pp.theirs,
		Sys:   cfg.Walls.attributes(),
	})
	closeAll(pp.theirs)
	if err != nil {
		closeAll(pp.ours)
		return nil, fmt.Errorf("starting the shim: %w", err)
	}
	p := &Process{
		Stdin: pp.ours[0], Stdout: pp.ours[1], Stderr: pp.ours[2], Result: pp.ours[3],
		lifeline: pp.ours[4], status: pp.ours[5],
		shim: shim, mode: cfg.Walls.mode(), ended: cfg.Ended, done: make(chan struct{}),
	}
	if err := cfg.tellStarted(shim.Pid); err != nil {
		go p.wait()
		p.Close()
		return nil, err
	}
	// A shim that is already dead shows up in its status.
	if _, err := p.lifeline.Write(append(line, '\n')); err != nil {
		cfg.logger().Debug("the shim took no order", "pid", shim.Pid, "error", err)
	}
	go p.wait()
	return p, nil
}

func (c Config) tellStarted(pid int) error {
	if c.Started == nil {
		return nil
	}
	if err := c.Started(pid); err != nil {
		return fmt.Errorf("preparing the shim: %w", err)
	}
	return nil
}

// wait ends after Kill at the latest, and Close waits for it.
func (p *Process) wait() {
	defer close(p.done)
	defer p.tellEnded()
	report, _ := io.ReadAll(io.LimitReader(p.status, 64<<10))
	state, err := p.shim.Wait()
	forgetShim(p.shim.Pid)
	if json.Unmarshal(report, &p.exit) == nil {
		return
	}
	if p.mode == ModeSubreaper {
		endOrphans() // who killed the shim may have thought to be rid of us
	}
	if err != nil {
		p.exit = Exit{Failure: "was lost: " + err.Error()}
		return
	}
	// Nothing was reported: we killed the shim, or somebody else did.
	p.exit = exitOf(state.Sys().(syscall.WaitStatus))
	if p.exit.Signal == 0 {
		p.exit = Exit{Signal: syscall.SIGKILL}
	}
}

// tellEnded completes the exit with why the command was ended.
func (p *Process) tellEnded() {
	if p.ended != nil {
		p.exit.Cause = p.ended()
	}
	if cause := p.cause.Load(); cause != nil {
		p.exit.Cause = *cause
	}
}

// Pid is the process id of the shim, below which the command runs.
func (p *Process) Pid() int { return p.shim.Pid }

// Done is closed when the command has ended and, in the modes that can tell,
// every descendant too.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is how the command ended. It is valid after Done.
func (p *Process) Exit() Exit { return p.exit }

// Interrupt sends SIGINT to the command and its process group, as a terminal does at
// Ctrl-C. It does not wait. Nothing happens when the command has ended.
func (p *Process) Interrupt() {
	p.lifeline.Write([]byte{interruptByte})
}

// KillFor is Kill; the first cause becomes the Exit's.
func (p *Process) KillFor(cause string) {
	p.cause.CompareAndSwap(nil, &cause)
	p.Kill()
}

// Kill ends the command and its descendants. It does not wait; see Done.
func (p *Process) Kill() {
	p.killOnce.Do(func() {
		p.lifeline.Close()
		switch p.mode {
		case ModeNamespace:
			p.shim.Kill() // the kernel does the rest at once
		case ModeSubreaper:
			p.shim.Signal(syscall.SIGCONT) // a command with our uid can stop it
			time.AfterFunc(shimPatience, p.force)
		}
	})
}

// shimPatience is how long a shim has for ending its command and itself, until we do.
const shimPatience = 3 * time.Second

// force ends a shim that does not do its work: where the command has our uid and nothing else guards
// the shim, it can be kept stopped.
func (p *Process) force() {
	select {
	case <-p.done:
	default:
		endBelow(p.shim)
	}
}

// Close kills what still runs, waits for its end, and closes the files.
func (p *Process) Close() {
	p.Kill()
	<-p.done
	p.closeOnce.Do(func() {
		closeAll([]*os.File{p.Stdin, p.Stdout, p.Stderr, p.Result, p.status})
	})
}
