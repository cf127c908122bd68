package kind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// whyNotELF looks at what the kernel looks at, and no more: package debug/elf takes all section headers into
// memory, and a stranger's file may have gigabytes of them.
func whyNotELF(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h, order, err := elfHeader(f)
	if err != nil {
		return fmt.Sprintf("the function's executable is damaged: %v", err)
	}
	if kind := elf.Type(h.Type); kind != elf.ET_EXEC && kind != elf.ET_DYN {
		return fmt.Sprintf("the function's executable is an ELF file, but no program (%v)", kind)
	}
	if ours, known := processors[runtime.GOARCH]; known && elf.Machine(h.Machine) != ours {
		return fmt.Sprintf("the function's executable is for another processor (%v) than this machine's (%v): build it for that", elf.Machine(h.Machine), ours)
	}
	loader, err := elfLoader(f, h, order)
	switch {
	case err != nil:
		return fmt.Sprintf("the function's executable is damaged: %v", err)
	case loader != "" && !exists(loader):
		return fmt.Sprintf("the function's executable needs the loader %q, which is not on this machine: link it statically, or build it for this system", loader)
	}
	return ""
}

// elfHeader reads the header of a 64-bit file. Of a 32-bit one the type and the machine are at the same places.
func elfHeader(f *os.File) (h elf.Header64, order binary.ByteOrder, err error) {
	order = binary.LittleEndian
	err = binary.Read(f, order, &h)
	if err == nil && elf.Data(h.Ident[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
		err = binary.Read(io.NewSectionReader(f, 0, int64(binary.Size(h))), order, &h)
	}
	if err != nil {
		return h, order, errors.New("it ends within its header")
	}
	return h, order, nil
}

// maxProgs bounds the program headers: Linux takes no more than 64 KB of them.
const maxProgs = 64 << 10 / 56

// elfLoader returns what a 64-bit program says that has to load it; "" if there is nothing.
func elfLoader(f *os.File, h elf.Header64, order binary.ByteOrder) (string, error) {
	if elf.Class(h.Ident[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return "", nil
	}
	progs := make([]elf.Prog64, min(int(h.Phnum), maxProgs))
	if binary.Read(io.NewSectionReader(f, int64(h.Phoff), 64<<10), order, progs) != nil {
		return "", errors.New("it ends within its program headers")
	}
	for _, p := range progs {
		if elf.ProgType(p.Type) != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := f.ReadAt(name, int64(p.Off)); err != nil {
			return "", errors.New("it ends within the name of its loader")
		}
		return string(bytes.TrimRight(name, "\x00")), nil
	}
	return "", nil
}
