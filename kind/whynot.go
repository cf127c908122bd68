package kind

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// maxFirstLine is how much the kernel reads of a script's first line, in bytes
// (BINPRM_BUF_SIZE).
const maxFirstLine = 256

// WhyNot says why the system would not start the executable at path, for
// somebody who wonders what to do, or "" when it does not know. It is asked when the start
// has failed: some machines can start more than is usual.
func WhyNot(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, maxFirstLine)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return ""
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return whyNotScript(head)
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return whyNotELF(f)
	case isForeign(head):
		return fmt.Sprintf("it is an executable for another system; build it for %s", here())
	}
	return `it is neither an executable for Linux nor a script; a script's first line names its interpreter, "#!/bin/sh" for example`
}

// here is what this machine is called by whoever builds for it.
func here() string { return runtime.GOOS + "/" + runtime.GOARCH }

func whyNotScript(head []byte) string {
	line, _, _ := bytes.Cut(head[len("#!"):], []byte("\n"))
	if bytes.HasSuffix(line, []byte("\r")) {
		return `its lines end as on Windows, with CR and LF, and no interpreter has a name with a CR; save it with LF alone`
	}
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return `its first line has "#!", but names no interpreter after it`
	}
	if !exists(words[0]) {
		return fmt.Sprintf("its first line names the interpreter %q, which this machine does not have", shortened(words[0]))
	}
	return ""
}

// ownMachine is this processor as ELF has it, or EM_NONE for one that we are not built for.
func ownMachine() elf.Machine {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64
	case "arm64":
		return elf.EM_AARCH64
	}
	return elf.EM_NONE
}

func whyNotELF(f *os.File) string {
	e, err := elf.NewFile(f)
	if err != nil {
		return "it is a damaged or foreign executable; build it for " + here()
	}
	if own := ownMachine(); own != elf.EM_NONE && e.Machine != own {
		return fmt.Sprintf("it is an executable for another processor (%s); build it for %s", strings.TrimPrefix(e.Machine.String(), "EM_"), here())
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > maxTarget {
			continue
		}
		name, err := io.ReadAll(p.Open())
		if loader := strings.TrimRight(string(name), "\x00"); err == nil && !exists(loader) {
			return fmt.Sprintf("it needs the loader %q, which this machine does not have; link it statically, or build it on a system like this one", loader)
		}
	}
	return ""
}

// isForeign knows the executables of macOS and Windows by their first bytes.
func isForeign(head []byte) bool {
	for _, magic := range []string{"MZ", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}
