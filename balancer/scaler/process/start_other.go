//go:build !linux

package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// errEnded says that there is no such process, or only what its parent has not taken away yet.
var errEnded = errors.New("the process has ended")

// startOf returns when a process began, to the second.
func startOf(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || started == "" || strings.HasPrefix(state, "Z") {
		return "", errEnded
	}
	return strings.TrimSpace(started), nil
}

// findByArgument returns the process that has the text as an argument; 0 if there is none.
func findByArgument(text string) (int, error) {
	out, err := exec.Command("ps", "-axww", "-o", "pid=,args=").Output()
	if err != nil {
		return 0, fmt.Errorf("asking ps for the processes: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		pid, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(args+" ", " "+text+" ") {
			return strconv.Atoi(pid)
		}
	}
	return 0, nil
}
