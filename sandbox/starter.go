package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// A starter is the thread that started the command. What confines a command is
// set on the thread and inherited from it; the shim's other threads stay outside, so that they can
// end and reap what is inside. The thread lives on, because the command gets a signal at its end.
type starter struct {
	pid     int // the command's
	err     error
	release chan struct{}
	gone    chan struct{}
}

// start returns when the command was executed, or could not be.
func start(o order) *starter {
	s := &starter{release: make(chan struct{}), gone: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		defer close(s.gone)
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		s.pid, s.err = startHere(o)
		close(started)
		<-s.release
	}()
	<-started
	return s
}

func (s *starter) end() {
	close(s.release)
	<-s.gone
}

// startHere confines this thread and starts the command from it.
func startHere(o order) (pid int, err error) {
	if err := confine(o); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(forkPatience); ; time.Sleep(forkPause) {
		pid, err = syscall.ForkExec(o.Path, o.Args, &syscall.ProcAttr{
			Dir:   o.Dir,
			Env:   o.Env,
			Files: []uintptr{0, 1, 2, resultFD},
			Sys:   commandAttributes(o),
		})
		if err == nil {
			return pid, nil
		}
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(deadline) {
			return 0, fmt.Errorf("%s: %w", o.Path, err)
		}
	}
}

// A start may meet the end of somebody who has used up the processes of the user that both
// have: those go within moments.
const (
	forkPatience = 5 * time.Second
	forkPause    = 20 * time.Millisecond
)
