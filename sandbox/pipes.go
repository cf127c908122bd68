package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

// pipes are the ends of all pipes between us, the shim and the command.
type pipes struct {
	ours   []*os.File // stdin, stdout, stderr, result, lifeline, status
	theirs []*os.File // the same six; they become the shim's 0 to 5
}

// The numbers of the shim's file descriptors. The first four are the command's.
const (
	resultFD   = 3
	lifelineFD = 4
	statusFD   = 5
)

func openPipes() (*pipes, error) {
	var p pipes
	for fd := range statusFD + 1 {
		r, w, err := os.Pipe()
		if err != nil {
			p.close()
			return nil, fmt.Errorf("opening a pipe: %w", err)
		}
		ours, theirs := r, w
		if fd == 0 || fd == lifelineFD {
			ours, theirs = w, r
		}
		p.ours, p.theirs = append(p.ours, ours), append(p.theirs, theirs)
		// os.Pipe makes both ends non-blocking; a command expects blocking ones.
		if err := syscall.SetNonblock(int(theirs.Fd()), false); err != nil {
			p.close()
			return nil, fmt.Errorf("preparing a pipe: %w", err)
		}
	}
	return &p, nil
}

func (p *pipes) close() {
	closeAll(p.ours)
	closeAll(p.theirs)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
