package kind

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// WhyNot says to the function's owner why the system could not execute the command, of which it
// said only what failure holds.
func (c Command) WhyNot(failure string) string {
	head := headOf(c.Path)
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		if why := whyNotScript(head); why != "" {
			return why
		}
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		if why := whyNotELF(c.Path); why != "" {
			return why
		}
	case len(head) > 0:
		return "the function's executable is none for this machine: it is neither an ELF file nor a script that begins with #!"
	}
	return "the function's executable " + strings.ReplaceAll(failure, c.Path+": ", "")
}

// whyNotScript looks at the interpreter that a script's first line names.
func whyNotScript(head []byte) string {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	fields := strings.Fields(strings.TrimSuffix(string(line), "\r"))
	if len(fields) == 0 {
		return "the first line of the function's executable, #!, names no interpreter"
	}
	if bytes.HasSuffix(line, []byte("\r")) {
		return fmt.Sprintf("the function's executable has lines that end in CR LF, so its interpreter %q is not found: save it with LF alone", fields[0]+"\r")
	}
	if !filepath.IsAbs(fields[0]) {
		return fmt.Sprintf("the first line of the function's executable names the interpreter %q, which must be an absolute path", fields[0])
	}
	if _, err := os.Stat(fields[0]); err != nil {
		return fmt.Sprintf("the first line of the function's executable names the interpreter %q, which is not on this machine", fields[0])
	}
	return ""
}

// processors are the ELF machines that a Go architecture stands for.
var processors = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func whyNotELF(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Sprintf("the function's executable is damaged: %v", err)
	}
	defer f.Close()
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Sprintf("the function's executable is an ELF file, but no program (%v)", f.Type)
	}
	if ours, known := processors[runtime.GOARCH]; known && f.Machine != ours {
		return fmt.Sprintf("the function's executable is for another processor (%v) than this machine's (%v): build it for that", f.Machine, ours)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			return ""
		}
		loader := string(bytes.TrimRight(name, "\x00"))
		if _, err := os.Stat(loader); err != nil {
			return fmt.Sprintf("the function's executable needs the loader %q, which is not on this machine: link it statically, or build it for this system", loader)
		}
	}
	return ""
}
