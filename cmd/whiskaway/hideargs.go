package main

import (
	"os"
	"slices"
	"strings"
	"unsafe"
)

// secretFlags are those whose values are for us alone: a token, and a URL that may have a password in it.
func secretFlags() []string { return []string{"--token", "--store"} }

// hideSecrets overwrites the values of secretFlags in this process's command line, once it was read:
// every user of the machine can see that (`ps`), functions perhaps too. On Linux the bytes of os.Args
// are those that the kernel shows.
func hideSecrets(args []string) {
	for i, arg := range args {
		flag, value, given := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(secretFlags(), flag):
		case given:
			overwrite(value)
		case i+1 < len(args):
			overwrite(args[i+1])
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
		hideSecrets(os.Args[1:])
	}
	return args
}
