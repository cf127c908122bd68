package main

import (
	"context"
	"errors"
	"os/exec"
)

// Needs are what functions want from this machine.
type need int

const (
	needPython need = iota
	needVenv
	needNode
)

// missingText says of each need what is missing and how to get it.
var missingText = map[need]string{
	needPython: "Python 3 (python3, 3.9 or newer) is missing. On Debian: apt-get install python3 python3-venv",
	needVenv:   "Python's venv and pip are missing. On Debian: apt-get install python3-venv",
	needNode:   "Node.js (node, 18 or newer) is missing. On Debian: apt-get install nodejs",
}

// probes succeed, any one of them, where the need is met.
var probes = map[need][][]string{
	needPython: {{"python3", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"}},
	needVenv:   {{"python3", "-c", "import venv, ensurepip"}, {"python3", "-c", "import venv, pip"}},
	needNode:   {{"node", "-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"}},
}

// lookFor returns why the need is not met here, or nil.
func lookFor(ctx context.Context, n need) error {
	for _, probe := range probes[n] {
		if exec.CommandContext(ctx, probe[0], probe[1:]...).Run() == nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New(missingText[n])
}
