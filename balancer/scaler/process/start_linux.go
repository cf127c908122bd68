package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// errEnded says that there is no such process, or only what its parent has not taken away yet.
var errEnded = errors.New("the process has ended")

// startField is the position of starttime in /proc/PID/stat, counted from behind the
// name; in proc_pid_stat(5) it is the 22nd. It counts clock ticks since the system's start.
const startField = 19

// startOf returns when a process began, together with which start of the system that counts from.
func startOf(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", errEnded
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= startField || string(fields[0]) == "Z" || string(fields[0]) == "X" {
		return "", errEnded
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it a record may outlive a start of the system
	return strings.TrimSpace(string(boot)) + " " + string(fields[startField]), nil
}

// findByArgument returns the process that has the text as an argument; 0 if there is none.
func findByArgument(text string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		line, _ := os.ReadFile(file) // others' may be hidden from us; ours are not
		for arg := range bytes.SplitSeq(line, []byte{0}) {
			if string(arg) == text {
				return strconv.Atoi(filepath.Base(filepath.Dir(file)))
			}
		}
	}
	return 0, nil
}
