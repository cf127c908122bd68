//go:build !linux

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// processes returns those whose command line mentions dir. Other systems do not
// show environments to everybody.
func processes(dir string) ([]process, error) {
	out, err := exec.Command("ps", "-axww", "-o", "pid=,stat=,lstart=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for processes: %w", err)
	}
	var found []process
	for line := range strings.Lines(string(out)) {
		if p, ok := parsePS(line); ok && mentions([]byte(p.command), dir) {
			found = append(found, p)
		}
	}
	return found, nil
}

// parsePS reads a line of ps: the number, the state, five words of time, the command.
func parsePS(line string) (process, bool) {
	words := strings.Fields(line)
	if len(words) < 8 || strings.HasPrefix(words[1], "Z") {
		return process{}, false
	}
	pid, err := strconv.Atoi(words[0])
	return process{pid: pid, born: strings.Join(words[2:7], " "), command: strings.Join(words[7:], " ")}, err == nil
}
