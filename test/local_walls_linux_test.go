package test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// prowler reads what it is told to, and looks for others' code and processes.
const prowler = `
import os

def read(path):
    try:
        with open(path, "rb") as f:
            return f.read(1 << 22).decode("latin-1")
    except OSError as e:
        return None

def main(args):
    seen, word = [], args["word"][::-1]
    for path in args["paths"]:
        try:
            seen += [os.path.join(path, name) for name in os.listdir(path)]
        except OSError:
            pass
        if read(path):
            seen.append(path)
    for top in args["walk"]:
        for dir, dirs, files in os.walk(top):
            for name in files:
                path = os.path.join(dir, name)
                if word in (read(path) or ""):
                    seen.append("the other's word in " + path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("environ", "mem"):
            if int(pid) != os.getpid() and read("/proc/%s/%s" % (pid, what)):
                seen.append("/proc/%s/%s" % (pid, what))
        if word in (read("/proc/%s/cmdline" % pid) or ""):
            seen.append("the other's word in cmdline")
    for path in args["paths"] + [os.path.join(dir, "new") for dir in args["walk"]]:
        try:
            with open(path, "ab") as f:
                f.write(b"def" + b"Aced")
        except OSError:
            pass
    return {"seen": seen, "self": read(__file__) is not None}
`

// An action that runs on the platform's machine reads nothing of the platform's: no key, no token, no database, no
// other function's code or files. On machines of all kinds.
func TestAlwaysTrue9LocalActionsSeeNothingOfThePlatform(t *testing.T) {
	for name, m := range lesserMachines(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(publicDir(t, m.user), "data")
			s := startStandaloneBehind(t, m.before, dir)
			const word = "the-word-of-another-function"
			if strings.Contains(s.log(), "can read the platform's keys") {
				t.Errorf("warned of what is not so: %s", s.log())
			}
			s.put("other", action{kind: "python:3", code: "import os\nword = '" + word + "'\nopen(os.environ['TMPDIR'] + '/word', 'w').write(word)\ndef main(a): return {'word': word}"})
			s.put("prowler", action{kind: "python:3", code: prowler})
			s.result("other", "{}") // it is warm now, and its files are there
			paths := []string{dir}
			for _, name := range []string{"wskprops", "platform.db", "platform.db-wal", "tokens", "tokens.json", "tokens/admin", "tokens/client", "tokens/join", "tls", "server/code"} {
				paths = append(paths, filepath.Join(dir, name))
			}
			args, err := json.Marshal(map[string]any{"paths": paths, "walk": []string{dir, "/tmp", "/dev/shm"}, "word": reversed(word)})
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Seen []string
				Self bool
			}
			if err := json.Unmarshal([]byte(s.result("prowler", string(args))), &got); err != nil {
				t.Fatal(err)
			}
			for _, path := range got.Seen {
				if path != filepath.Join(dir, "containers") { // the way to its own files
					t.Errorf("it saw %s", path)
				}
			}
			if !got.Self {
				t.Error("it could not read its own code, so it proves nothing")
			}
			for _, path := range paths[1:] {
				info, err := os.Stat(path)
				if err != nil {
					t.Errorf("it looked for what is not there: %v", err)
					continue
				}
				if text, err := os.ReadFile(path); !info.IsDir() && (err != nil || strings.Contains(string(text), "defAced")) {
					t.Errorf("it wrote to %s, %v", path, err)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
				t.Error("it made a file in the data directory")
			}
		})
	}
}

// What is not hidden is found: the test above is good.
func TestTheProwlerIsGood(t *testing.T) {
	s := startStandalone(t, t.TempDir(), "--sandbox", "off")
	if !strings.Contains(s.log(), "actions that run on this machine can read the platform's keys and data") {
		t.Errorf("nobody was warned: %s", s.log())
	}
	s.put("prowler", action{kind: "python:3", code: prowler})
	args, _ := json.Marshal(map[string]any{"paths": []string{filepath.Join(s.dir, "wskprops")}, "walk": []string{filepath.Join(s.dir, "containers")}, "word": reversed("__file__")})
	got := s.result("prowler", string(args))
	for _, want := range []string{"/wskprops", "the other's word in "} {
		if !strings.Contains(got, want) {
			t.Errorf("it did not see %s: %s", want, got)
		}
	}
}

// A local action has the memory that its limit says, and no more; others go on.
func TestLocalActionsStayWithinTheirMemory(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	code := "def main(a):\n    return {'len': len(bytearray(a['mb'] << 20))}"
	s.ask(200, "PUT", restNS+"actions/memory", `{"exec":{"kind":"python:3","code":`+quoted(code)+`},"limits":{"memory":128}}`, nil)
	if got := s.result("memory", `{"mb":50}`); got != `{"len":52428800}` {
		t.Error(got)
	}
	const hungry = `{"mb":512}` // touched page by page: it takes a while, so that it is seen where it is only watched
	a := s.invoke("memory", hungry)
	if a.Response.Success || !strings.Contains(string(a.Response.Result), "out of memory: its limit is 128 MB") {
		t.Errorf("512 MB: %s %s", a.Response.Status, a.Response.Result)
	}
	s.result("memory", `{"mb":50}`)
}

// No process and no control group is left of local actions, also after kill -9.
func TestNothingIsLeftOfLocalActionsAfterAKill(t *testing.T) {
	dir := t.TempDir()
	s := startStandalone(t, dir)
	s.put("pid", action{kind: "python:3", code: "import os, subprocess\nchild = subprocess.Popen(['sleep', '1000'])\ndef main(a): return {'ok': True}"})
	s.result("pid", "{}")
	mine := fmt.Sprintf("container-%x", sha256.Sum256([]byte(dir)))[:len("container-")+12]
	if groups := controlGroups(t, mine); len(groups) == 0 {
		t.Log("there are no control groups here")
	}
	s.kill()
	eventually(t, "the runtimes have removed their control groups", func() bool { return len(controlGroups(t, mine)) == 0 })
	eventually(t, "the runtimes' directories are gone", func() bool {
		left, err := os.ReadDir(filepath.Join(dir, "containers"))
		return err == nil && len(left) == 0
	})
}

// controlGroups lists those of ours whose names begin so, in any hierarchy.
func controlGroups(t *testing.T, prefix string) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/whiskaway-", "/sys/fs/cgroup/*/whiskaway-"} {
		found, err := filepath.Glob(pattern + prefix + "*")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// startStandaloneBehind is startStandalone behind a command that becomes whiskaway, such as setpriv.
func startStandaloneBehind(t *testing.T, before []string, dir string, args ...string) *standalone {
	t.Helper()
	defer syscall.Umask(syscall.Umask(0o022))
	args = append([]string{"standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir}, args...)
	s := &standalone{process: startBehind(t, before, nil, nil, args...), dir: dir}
	s.api = s.waitFor(`platform listening on (\S+)`)
	s.balancer = s.waitFor(`balancer listening on (\S+)`)
	s.auth = prop(t, filepath.Join(dir, "wskprops"), "AUTH")
	return s
}

// reversed lets a function look for a word without having it in its own memory.
func reversed(word string) string {
	letters := []byte(word)
	for i, j := 0, len(letters)-1; i < j; i, j = i+1, j-1 {
		letters[i], letters[j] = letters[j], letters[i]
	}
	return string(letters)
}
