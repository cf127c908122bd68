package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// thief looks for the tokens, which it gets spelled backwards, wherever a process can look.
const thief = `
import ctypes, os, re

libc = ctypes.CDLL(None, use_errno=True)
looked = {}

def main(args):
    tokens = [t[::-1].encode() for t in args["tokens"]]
    found = []
    looked.clear()

    def look(where, data):
        kind = re.sub(r"\d+", "N", where) if where.startswith("/proc") else where
        looked[kind] = looked.get(kind, 0) + len(data)
        found.extend(f"{where}: token {n}" for n, t in enumerate(tokens) if t in data)

    look("environment", repr(sorted(os.environ.items())).encode())
    for path in args["files"]:
        look("file", read(path))
        tricks(path)
        for name in (path, os.path.realpath(path), os.environ["TMPDIR"] + "/link"):
            look("file", read(name))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        for name in ("environ", "cmdline", "auxv"):
            look(f"/proc/{pid}/{name}", read(f"/proc/{pid}/{name}"))
        for path in args["files"]:
            look(f"/proc/{pid}/root", read(f"/proc/{pid}/root{path}"))
        for fd in range(32):
            look(f"/proc/{pid}/fd", read_at_once(f"/proc/{pid}/fd/{fd}"))
        memory(pid, look)
    return {"found": found, "looked": looked}

def tricks(path):
    """What might bring a hidden file back."""
    libc.umount2(path.encode(), 2)
    libc.umount2(os.path.dirname(path).encode(), 2)
    link = os.environ["TMPDIR"] + "/link"
    for trick in (os.link, os.symlink, os.rename):
        try:
            trick(path, link)
        except OSError:
            pass

def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""

def read_at_once(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.pread(fd, 1 << 16, 0)
        finally:
            os.close(fd)
    except OSError:
        return b""

def memory(pid, look):
    try:
        maps = read(f"/proc/{pid}/maps").decode().splitlines()
        mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return
    for line in maps:
        span, mode = line.split()[:2]
        start, end = (int(x, 16) for x in span.split("-"))
        while mode[0] == "r" and start < end:
            try:
                data = os.pread(mem, min(end - start, 1 << 20), start)
            except OSError:
                break
            look(f"/proc/{pid}/mem", data)
            start += (1 << 20) - 64 # an overlap, for what lies across
    os.close(mem)
`

// secretHolder is a runtime with tokens in its environment and in files, one of them of a Kubernetes volume.
type secretHolder struct {
	env    []string
	tokens []string
	files  []string
}

func newSecretHolder(t *testing.T, user int) secretHolder {
	t.Helper()
	dir := publicDir(t, user)
	h := secretHolder{tokens: []string{"environment-7d1f0a4be", "plainfile-93b8e2c51d", "volumefile-e01c77aa94"}}
	plain, volume := filepath.Join(dir, "plain", "tokens"), filepath.Join(dir, "volume", "token")
	write := func(path, text string) {
		t.Helper()
		for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600), os.Chown(path, user, user)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write(plain, "gpu.example.com "+h.tokens[1]+"\n")
	write(filepath.Join(dir, "volume", "..2026", "token"), h.tokens[2]+"\n")
	for _, err := range []error{os.Symlink("..2026", filepath.Join(dir, "volume", "..data")), os.Symlink("..data/token", volume)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.files = []string{plain, volume}
	h.env = []string{"WHISKAWAY_TOKENS_FILE=" + plain, "WHISKAWAY_TOKEN_FILE=" + volume, "WHISKAWAY_TOKEN=" + h.tokens[0], "COPY=-" + h.tokens[0] + "-"}
	return h
}

// steal has the thief look, and returns what it found and how many bytes it saw where.
func (h secretHolder) steal(t *testing.T, r *container) (found []string, looked map[string]int) {
	t.Helper()
	if status, b := r.post("/init", initBody("main", thief, nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	backwards := slices.Clone(h.tokens)
	for i, token := range backwards {
		letters := []byte(token)
		slices.Reverse(letters)
		backwards[i] = string(letters)
	}
	args, _ := json.Marshal(map[string]any{"tokens": backwards, "files": h.files})
	status, b := r.post("/run", runBody(string(args), "id", time.Now().Add(patience)))
	var answer struct {
		Found  []string
		Looked map[string]int
	}
	if err := json.Unmarshal([]byte(b), &answer); err != nil || status != 200 {
		t.Fatalf("/run: %d %s", status, b)
	}
	return answer.Found, answer.Looked
}

// No function can read its runtime's tokens: not in its environment, in /proc, in another's memory, or in
// the files that hold them; though the functions are processes of the runtime's own user, on machines of all kinds.
func TestAlwaysTrue9TokensAreHiddenFromLocalFunctions(t *testing.T) {
	for name, m := range lesserMachines(t) {
		for _, sandbox := range []string{"process", "off", "full"} {
			t.Run(name+"/"+sandbox, func(t *testing.T) {
				h := newSecretHolder(t, m.user)
				r := startRuntimeBehind(t, m.before, append(h.env, "WHISKAWAY_KIND=python:3", "WHISKAWAY_SANDBOX="+sandbox)...)
				found, looked := h.steal(t, r)
				if len(found) > 0 {
					t.Errorf("a function found tokens: %q", found)
				}
				if looked["environment"] == 0 || looked["/proc/N/cmdline"] == 0 {
					t.Errorf("the thief did not look: %v", looked)
				}
				for _, path := range h.files { // it is only hidden
					if text, err := os.ReadFile(path); err != nil || len(text) == 0 {
						t.Errorf("%s: %q, %v", path, text, err)
					}
				}
			})
		}
	}
}

// The thief finds what is not hidden.
func TestTheThiefIsGood(t *testing.T) {
	m, ok := lesserMachines(t)["nobody without user namespaces"] // elsewhere functions do not see the runtime
	if !ok {
		t.Skip("as root on amd64 only")
	}
	h := newSecretHolder(t, m.user)
	r := startRuntimeBehind(t, m.before, "WHISKAWAY_KIND=python:3", "COPY="+h.tokens[0], "PYTHONPATH="+h.tokens[1])
	found, _ := h.steal(t, r)
	places := strings.Join(found, "\n")
	for _, place := range []string{"environment: token 0", "environment: token 1", "file: token 1", "file: token 2", "/environ: token 0", "/mem: token 1"} {
		if !strings.Contains(places, place) {
			t.Errorf("it did not find %s, only\n%s", place, places)
		}
	}
}

// A machine is a way to start a program with fewer rights.
type lesserMachine struct {
	before []string // the command that becomes the program
	user   int
}

// lesserMachines are those that can be made of this one; see environments.
func lesserMachines(t *testing.T) map[string]lesserMachine {
	t.Helper()
	if os.Geteuid() != 0 {
		return map[string]lesserMachine{"as we are": {user: os.Geteuid()}}
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal("setpriv is missing; it is in Debian's package util-linux")
	}
	asNobody := []string{setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"}
	all := map[string]lesserMachine{"root": {}, "nobody": {asNobody, nobody}}
	if runtime.GOARCH == "amd64" { // the numbers in the filter
		forbidden := []string{"/usr/bin/python3", "-c", withoutUserNamespaces}
		before := []string{setpriv, "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}
		all["nobody without user namespaces"] = lesserMachine{slices.Concat(asNobody, forbidden), nobody}
		all["root without CAP_SYS_ADMIN"] = lesserMachine{slices.Concat(before, forbidden), 0}
	}
	return all
}
