package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/whiskaway/whiskaway/sandbox"
)

// hideEnvironment overwrites the variable's value where this process was started with it: that is what
// /proc/PID/environ shows, whatever we do to our own copy. The same text in other variables goes too.
// Without a /proc there is nobody to show it to.
func hideEnvironment(variable, secret string) {
	block, err := os.ReadFile("/proc/self/environ")
	start, ok := environmentStart()
	if err != nil || !ok {
		return
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer memory.Close()
	memory.WriteAt(withoutSecret(block, variable, secret), start) // as long as it was
}

// withoutSecret returns an environment's block in which the variable's value and the secret are overwritten.
func withoutSecret(block []byte, variable, secret string) []byte {
	if len(secret) >= findable {
		block = bytes.ReplaceAll(block, []byte(secret), bytes.Repeat([]byte{'x'}, len(secret)))
	}
	var all []byte
	for setting := range bytes.SplitAfterSeq(block, []byte{0}) {
		if value, found := bytes.CutPrefix(bytes.TrimSuffix(setting, []byte{0}), []byte(variable+"=")); found {
			copy(value, bytes.Repeat([]byte{'x'}, len(value)))
		}
		all = append(all, setting...)
	}
	return all
}

// environmentField is the position of env_start in /proc/PID/stat, counted from behind the
// name; in proc_pid_stat(5) it is the 50th.
const environmentField = 47

// environmentStart is the address at which the kernel has put our environment.
func environmentStart() (int64, bool) {
	stat, err := os.ReadFile("/proc/self/stat")
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if err != nil || i < 0 || len(fields) <= environmentField {
		return 0, false
	}
	start, err := strconv.ParseInt(string(fields[environmentField]), 10, 64)
	return start, err == nil && start > 0
}

// hideMemory closes our memory to others that have our user, also the environment and all else in /proc
// that shows it. Root keeps its look where it has CAP_SYS_PTRACE.
func hideMemory(walls sandbox.Walls) {
	if walls.User && os.Geteuid() != 0 {
		return // functions do not see us; and we could make no user namespace for them any more
	}
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // nothing else is lost when it fails
}
