package test

import (
	"debug/elf"
	"encoding/base64"
	endian "encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A failedInit is an /init that fails, and what is said about it.
type failedInit struct {
	name     string
	settings []string
	body     string
	status   int
	words    string // of the answer; or of the logs, where details go there
	logged   string // what stderr holds before the guard line in any case
	unbuilt  bool   // it fails before anything is started
}

func failedInits(t *testing.T) []failedInit {
	t.Helper()
	python := []string{"WHISKAWAY_KIND=python:3"}
	compiler := []string{"OW_COMPILER=" + proxyScript(t, compileScript)}
	ack := []string{"OW_WAIT_FOR_ACK=1"}
	image := []string{"OW_EXECUTION_ENV=image:1"}
	text := func(code string) string { return initBody("main", code, nil) }
	bytes := func(code string) string {
		return proxyBinary("main", base64.StdEncoding.EncodeToString([]byte(code)), nil)
	}
	packed := func(files ...proxyFile) string { return proxyBinary("main", proxyZip(t, files...), nil) }
	return []failedInit{
		{name: "no code", settings: python, body: `{"value":{"main":"main"}}`, status: 403, words: "no code"},
		{name: "bad base64", settings: python, body: proxyBinary("main", "AAA!", nil), status: 400, words: "base64"},
		{name: "a broken archive", settings: python, body: bytes("PK\x03\x04 and no more"), status: 502, words: "the zip cannot be read", unbuilt: true},
		{name: "a broken archive for a compiler", settings: compiler, body: bytes("PK\x03\x04 and no more"), status: 502, words: "the zip cannot be read", unbuilt: true},
		{name: "code of no language", body: text("def main(args): return args"), status: 502, words: "WHISKAWAY_KIND or OW_COMPILER", unbuilt: true},
		{name: "a syntax error", settings: python, body: text("def main(:"), status: 502, words: "SyntaxError", logged: "def main(:"},
		{name: "an exception while loading", settings: python, body: text("raise ValueError('at once')"), status: 502, words: "ValueError: at once", logged: "Traceback"},
		{name: "no such function", settings: python, body: text("def other(args): return args"), status: 502, words: "does not have a function named 'main'; it has other"},
		{name: "a compile error", settings: compiler, body: text("def main(:"), status: 502, words: "the code cannot be compiled: invalid syntax", logged: "invalid syntax", unbuilt: true},
		{name: "a compiler that fails", settings: []string{"OW_COMPILER=" + proxyScript(t, "#!/bin/sh\necho line one >&2\necho line two >&2\nexit 3\n")}, body: text("x"), status: 502, words: "cannot be compiled: line two", logged: "line one\nline two", unbuilt: true},
		{name: "a compiler that leaves nothing", settings: []string{"OW_COMPILER=" + proxyScript(t, "#!/bin/sh\n")}, body: text("x"), status: 502, words: "the compiler left no executable: it said nothing", unbuilt: true},
		{name: "a compiler that is not there", settings: []string{"OW_COMPILER=/no/such/compiler"}, body: text("x"), status: 502, words: `OW_COMPILER="/no/such/compiler": it is not an executable that is here`},
		{name: "an executable that exits at once", body: text("#!/bin/sh\necho my last words >&2\nexit 7\n"), status: 502, words: "exited with code 7 before it was ready", logged: "my last words"},
		{name: "an executable that is killed", body: text("#!/bin/sh\nkill -9 $$\n"), status: 502, words: "was killed by signal 9"},
		{name: "no ack", settings: ack, body: initBody("main", loopScript, map[string]string{"NO_ACK": "1", "__OW_DEADLINE": "DEADLINE"}), status: 502, words: `the line {"ok":true} to file descriptor 3`},
		{name: "a wrong ack", settings: ack, body: text("#!/bin/sh\necho hello >&3\ncat >&2\n"), status: 502, words: `is not the ack {"ok":true}, but "hello"`},
		{name: "an ack that says no", settings: ack, body: text("#!/bin/sh\necho '{\"ok\":false}' >&3\n"), status: 502, words: "the function did not start, and did not say why"},
		{name: "a zip without exec", body: packed(proxyFile{name: "other", text: "x"}), status: 502, words: "the zip has no executable called exec at its top", unbuilt: true},
		{name: "a zip with exec in a directory", body: packed(proxyFile{"action/exec", loopScript, 0o755}), status: 502, words: `pack what is in the directory "action"`, unbuilt: true},
		{name: "a zip whose exec is none", body: packed(proxyFile{"exec", "hello", 0o755}), status: 502, words: "neither an ELF file nor a script that begins with #!"},
		{name: "a missing interpreter", body: text("#!/usr/bin/no-such-shell -x\n"), status: 502, words: `the interpreter "/usr/bin/no-such-shell", which is not on this machine`},
		{name: "lines that end in CR LF", body: text("#!/bin/sh\r\nexit 0\r\n"), status: 502, words: "lines that end in CR LF"},
		{name: "another processor", body: bytes(elfOf(elf.EM_RISCV)), status: 502, words: "is for another processor (EM_RISCV)"},
		{name: "half an executable", body: bytes("\x7fELF"), status: 502, words: "the function's executable is damaged"},
		{name: "another execution environment", settings: image, body: packed(proxyFile{"exec", loopScript, 0o755}, proxyFile{name: "exec.env", text: "image:2\n"}), status: 502, words: `"image:2" (exec.env), and this one is "image:1" (OW_EXECUTION_ENV)`, unbuilt: true},
		{name: "no execution environment", settings: image, body: text(loopScript), status: 502, words: `this one is "image:1" (OW_EXECUTION_ENV)`, unbuilt: true},
	}
}

// elfOf is the beginning of a program for a processor, with nothing in it.
func elfOf(machine elf.Machine) string {
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	b, _ := endian.Append(nil, endian.LittleEndian, h)
	return string(b)
}

// Each failed /init says what was wrong: in its answer, or, where OW_LOG_INIT_ERROR says so, in the
// logs. Both logs end with a guard line, and what the function printed stands before it.
func TestFailedInitsSayWhy(t *testing.T) {
	for _, c := range failedInits(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, setting := range []string{"OW_LOG_INIT_ERROR=", "OW_LOG_INIT_ERROR=1"} {
				r := startRuntime(t, append(c.settings, setting)...)
				// Only the ack that never comes needs one; all others have time.
				body := strings.Replace(c.body, `"DEADLINE"`, `"`+deadlineIn(3*time.Second)+`"`, 1)
				status, answer := r.post("/init", body)
				r.stop()
				log := r.log()
				if status != c.status || strings.Contains(answer, "/tmp/") {
					t.Errorf("%d %s", status, answer)
				}
				said := errorOf(t, answer)
				if setting == "OW_LOG_INIT_ERROR=1" && c.kept() {
					if said != c.proxysWords() {
						t.Errorf("the answer is %q, not %q", said, c.proxysWords())
					}
					said = log
				}
				if !strings.Contains(said, c.words) {
					t.Errorf("%s: it said %q, not %q", setting, said, c.words)
				}
				if !strings.HasSuffix(log, guard+"\n") || strings.Count(log, guard) != 1 || strings.Count(strings.Join(r.lines(), "\n"), guard) != 1 {
					t.Errorf("%s: the logs are %q and %q", setting, r.lines(), log)
				}
				if !strings.Contains(log, c.logged) {
					t.Errorf("%s: the log is %q, without %q", setting, log, c.logged)
				}
			}
		})
	}
}

// kept reports whether OW_LOG_INIT_ERROR keeps the details for the logs: what is wrong with the request
// itself, or with the runtime, or a time limit, is answered in any case.
func (c failedInit) kept() bool {
	return c.status == 502 && c.name != "no ack" && c.name != "a compiler that is not there"
}

// proxysWords are those of the Go action proxy where details are in the logs.
func (c failedInit) proxysWords() string {
	if c.unbuilt {
		return "The action failed to generate or locate a binary. See logs for details."
	}
	return "Cannot start action. Check logs for details."
}

// errorOf is the text of an error's answer.
func errorOf(t *testing.T, answer string) string {
	t.Helper()
	var e struct{ Error string }
	if err := json.Unmarshal([]byte(answer), &e); err != nil || e.Error == "" {
		t.Fatalf("the answer is no error: %s", answer)
	}
	return e.Error
}

// deadlineIn is a time limit's end as the platform sends it.
func deadlineIn(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10) }
