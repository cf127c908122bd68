package main

import (
	"os"
	"strings"
	"unsafe"
)

// hideToken overwrites the value of --token in this process's command line, once it was read:
// every user of the machine can see that (`ps`), functions perhaps too. On Linux the bytes of os.Args
// are those that the kernel shows.
func hideToken(args []string) {
	for i, arg := range args {
		switch {
		case arg == "--token" && i+1 < len(args):
			overwrite(args[i+1])
		case strings.HasPrefix(arg, "--token="):
			overwrite(arg[len("--token="):])
		}
	}
}

// overwrite writes over the bytes of a string that lies in writable memory, as those of os.Args do.
func overwrite(s string) {
	if s == "" {
		return
	}
	for i := range unsafe.Slice(unsafe.StringData(s), len(s)) {
		unsafe.Slice(unsafe.StringData(s), len(s))[i] = 'x'
	}
}

// takeArgs returns a copy of the arguments and hides what is secret in the original.
func takeArgs() []string {
	args := make([]string, len(os.Args))
	for i, arg := range os.Args {
		args[i] = strings.Clone(arg)
	}
	if len(os.Args) > 0 {
		hideToken(os.Args[1:])
	}
	return args
}
