package main

import (
	"bytes"
	"os"
	"strconv"
)

// hideVariable overwrites the variable's value where this process was started with it: that is what
// /proc/PID/environ shows, whatever we do to our own copy. Without a /proc there is nobody to show it to.
func hideVariable(name string) {
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
	prefix, at := []byte(name+"="), 0
	for setting := range bytes.SplitAfterSeq(block, []byte{0}) {
		if value, found := bytes.CutPrefix(setting, prefix); found {
			value = bytes.TrimSuffix(value, []byte{0})
			memory.WriteAt(bytes.Repeat([]byte{'x'}, len(value)), start+int64(at+len(prefix)))
		}
		at += len(setting)
	}
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
