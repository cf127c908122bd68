package kind

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// elfFile writes a program's headers into a sparse file of size bytes, and returns its path.
func elfFile(t *testing.T, size int64, parts ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exec")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, part := range parts {
		if err := binary.Write(f, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

func elfHead(machine elf.Machine) elf.Header64 {
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	return h
}

// A file that claims millions of sections costs the server nothing.
func TestWhyNotReadsHeadersOnly(t *testing.T) {
	const size = 64 << 20
	h := elfHead(elf.EM_RISCV)
	h.Shoff = 64
	path := elfFile(t, size, h, elf.Section64{Size: size/64 - 1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	said := Command{Path: path}.WhyNot("exec format error")
	runtime.ReadMemStats(&after)
	if !strings.Contains(said, "for another processor (EM_RISCV)") {
		t.Errorf("it said %q", said)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("it took %d MB", took>>20)
	}
}

func TestWhyNotELF(t *testing.T) {
	ours, known := processors[runtime.GOARCH]
	if !known {
		t.Skip("for amd64 and arm64")
	}
	loaded := elfHead(ours)
	loaded.Phoff, loaded.Phnum = 64, 2
	const loader = "/no/such/loader\x00"
	progs := []elf.Prog64{{Type: uint32(elf.PT_LOAD)}, {Type: uint32(elf.PT_INTERP), Off: 64 + 2*56, Filesz: uint64(len(loader))}}
	object := elfHead(ours)
	object.Type = uint16(elf.ET_REL)
	many := loaded
	many.Phnum = 0xffff
	far := loaded
	far.Phoff = 1 << 63
	foreign := elfHead(elf.EM_S390)
	foreign.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	foreign.Type, foreign.Machine = foreign.Type<<8, foreign.Machine<<8
	for name, c := range map[string]struct{ path, want string }{
		"half":            {elfFile(t, 40, elfHead(ours)), "damaged"},
		"an object":       {elfFile(t, 100, object), "no program (ET_REL)"},
		"big endian":      {elfFile(t, 100, foreign), "for another processor (EM_S390)"},
		"a loader":        {elfFile(t, 1000, loaded, progs, []byte(loader)), `needs the loader "/no/such/loader"`},
		"headers cut off": {elfFile(t, 1000, many, progs), "damaged"},
		"headers nowhere": {elfFile(t, 1000, far), "damaged"},
		"nothing amiss":   {elfFile(t, 1000, elfHead(ours)), "so it is"},
	} {
		if said := (Command{Path: c.path}).WhyNot("so it is"); !strings.Contains(said, c.want) {
			t.Errorf("%s: it said %q, not %q", name, said, c.want)
		}
	}
}
