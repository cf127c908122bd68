package main

import (
	"path/filepath"
	"strings"
)

// proxyName is what OpenWhisk's images call the program that runs in them.
const proxyName = "proxy"

// runtimeCommandName is the command that proxyName stands for.
const runtimeCommandName = "runtime"

// asProxy returns the arguments for our command line, of those that we were started with: the program's
// name first. Under the name of OpenWhisk's action proxy we are `whiskaway runtime`, and that command
// takes flags in Go's style too.
func asProxy(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	rest := args[1:]
	if filepath.Base(args[0]) == proxyName {
		rest = append([]string{runtimeCommandName}, rest...)
	}
	i := commandIndex(rest)
	if i < 0 || rest[i] != runtimeCommandName {
		return rest
	}
	return append(rest[:i+1:i+1], withTwoDashes(rest[i+1:])...)
}

// commandIndex finds the first argument that is neither a flag of every command nor its value.
func commandIndex(args []string) int {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--log-level" || arg == "--log-format":
			i++
		case !strings.HasPrefix(arg, "-"):
			return i
		}
	}
	return -1
}

// withTwoDashes makes -compile of Go's style into --compile. What is no flag stays.
func withTwoDashes(args []string) []string {
	all := make([]string, len(args))
	for i, arg := range args {
		if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' {
			arg = "-" + arg
		}
		all[i] = arg
	}
	return all
}
