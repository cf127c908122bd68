package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes returns those whose command line or environment mentions dir, as
// far as we may see them. Zombies do not count: they only wait to be counted.
func processes(dir string) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for processes: %w", err)
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := lookAt(pid, dir); ok {
			found = append(found, p)
		}
	}
	return found, nil
}

func lookAt(pid int, dir string) (process, bool) {
	at := filepath.Join("/proc", strconv.Itoa(pid))
	// What cannot be read is gone, or another user's.
	command, _ := os.ReadFile(filepath.Join(at, "cmdline"))
	environ, _ := os.ReadFile(filepath.Join(at, "environ"))
	if !mentions(command, dir) && !mentions(environ, dir) {
		return process{}, false
	}
	stat, err := os.ReadFile(filepath.Join(at, "stat"))
	if err != nil {
		return process{}, false
	}
	state, born, ok := parseStat(stat)
	words := strings.TrimSpace(string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
	return process{pid: pid, born: born, command: words}, ok && state != "Z" && state != "X"
}

// parseStat reads the state and the time of birth (proc_pid_stat(5), fields 3
// and 22). The second field, the name, may have blanks and brackets.
func parseStat(stat []byte) (state, born string, ok bool) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return "", "", false
	}
	return fields[0], fields[19], true
}
