package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// killAgain is how soon the shim looks again for descendants that are left.
const killAgain = time.Millisecond

// ShimMain is the shim: it takes an order from its lifeline, starts the
// command, and ends with it or with the lifeline. It returns the exit code for
// the process, which must be started with it as early in main as possible.
func ShimMain(args []string) int {
	if len(args) > 0 && args[len(args)-1] == probe {
		return 0
	}
	debug.SetGCPercent(400)
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread() // keeps the starter of the command on a thread of its own
	lifeline := os.NewFile(lifelineFD, "lifeline")
	if err := closeOnExec(resultFD + 1); err != nil {
		return report(Exit{Failure: "could not be started: closing file descriptors: " + err.Error()})
	}
	in := bufio.NewReader(lifeline)
	var o order
	if err := readOrder(in, &o); err != nil {
		return 1 // who started us is gone, or a person runs this by hand
	}
	if o.Probe {
		o.Path, o.Args, o.Env = ownExecutable(), append(os.Args, probe), os.Environ()
	}
	s := &shim{mode: o.Mode, signals: make(chan os.Signal, 1), interrupts: make(chan struct{}, 1), cut: make(chan struct{})}
	s.takeSignals()
	go s.listen(in)
	return report(s.run(o))
}

func readOrder(in *bufio.Reader, o *order) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, o)
}

// report tells our starter how the command ended.
func report(e Exit) int {
	text, err := json.Marshal(e)
	if err != nil {
		return 1
	}
	status := os.NewFile(statusFD, "status")
	if _, err := status.Write(text); err != nil {
		return 1
	}
	return 0
}

// A shim's state belongs to the one goroutine that runs it.
type shim struct {
	mode       Mode
	signals    chan os.Signal // SIGCHLD
	interrupts chan struct{}  // has an entry when the command shall be interrupted
	cut        chan struct{}  // closed when the lifeline ends
	command    int            // its pid
	exit       Exit
	ending     bool // the command has ended, or the lifeline has
}

// takeSignals must come before the command's start, so that no end is missed.
// Signals that would end us are taken and dropped. They must not be ignored,
// because the command would inherit that.
func (s *shim) takeSignals() {
	signal.Notify(s.signals, syscall.SIGCHLD)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
}

func (s *shim) run(o order) Exit {
	if err := prepare(o); err != nil {
		return Exit{Failure: "could not be started: " + err.Error()}
	}
	starter := start(o)
	defer starter.end()
	if starter.err != nil {
		return Exit{Failure: "could not be started: " + starter.err.Error()}
	}
	for fd := range resultFD + 1 {
		syscall.Close(fd) // so that the pipes end with the command
	}
	s.command = starter.pid
	if err := limitProcesses(o, s.command); err != nil {
		syscall.Kill(s.command, syscall.SIGKILL)
		return Exit{Failure: "could not be started: " + err.Error()}
	}
	s.exit = Exit{Signal: syscall.SIGKILL} // unless its own end comes first
	return s.wait()
}

// wait returns when the command has ended and no child of ours is left, or in
// a PID namespace when our own end will do that.
func (s *shim) wait() Exit {
	for {
		childless := s.reap()
		if s.ending && (childless || s.mode == ModeNamespace) {
			return s.exit
		}
		if s.ending {
			killDescendants(s.command)
		}
		s.await()
	}
}

func (s *shim) await() {
	if s.ending {
		select {
		case <-s.signals:
		case <-time.After(killAgain):
		}
		return
	}
	select {
	case <-s.signals:
	case <-s.interrupts:
		syscall.Kill(-s.command, syscall.SIGINT)
	case <-s.cut:
		s.ending = true
	}
}

// interruptByte on the lifeline asks for a SIGINT.
const interruptByte = 'i'

// listen reads the lifeline until its end.
func (s *shim) listen(in *bufio.Reader) {
	defer close(s.cut)
	for {
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		if b != interruptByte {
			continue
		}
		select {
		case s.interrupts <- struct{}{}:
		default:
		}
	}
}

// reap takes all children that have ended, and reports whether none is left.
// An orphan becomes our child before its parent can be reaped, so none left
// means that there are no descendants at all.
func (s *shim) reap() (childless bool) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ECHILD):
			return true
		case err != nil || pid <= 0:
			return false
		case pid == s.command:
			s.exit, s.ending = exitOf(ws), true
		}
	}
}
