package sandbox_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

//go:embed testdata/intruder.py
var intruder string

// An environment is a machine, as far as a process can be put into one.
type environment struct {
	name    string
	become  []string // what is put before the server's command line
	refused string   // see playFiltered; empty: nothing
	words   []string // all that must be enforced there
	missing []string // all that must be told as missing
}

const (
	inOwn = "pid namespace,mount namespace,ipc namespace"
	view  = "read-only system,private /tmp,private /dev/shm"
	inner = "no capabilities,no new privileges,landlock files,landlock signals,seccomp"
)

func words(lists ...string) []string {
	all := strings.Split(strings.Join(lists, ","), ",")
	slices.Sort(all)
	return all
}

func environments() []environment {
	if os.Geteuid() != 0 {
		return []environment{
			{name: "me", words: words(inOwn, "user namespace", view, inner), missing: []string{"own uid: not root"}},
			{name: "me, bare", refused: "namespaces", words: words("subreaper shim", inner), missing: []string{"pid namespace", "read-only system: there is no mount namespace here", "own uid: not root", "files' modes"}},
		}
	}
	noAdmin := []string{"/usr/bin/setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all"}
	nobody := []string{"/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all"}
	return []environment{
		{name: "root", words: words(inOwn, view, "own uid", inner)},
		{name: "root, old kernel", refused: "mount_setattr", words: words(inOwn, view, "own uid", inner)},
		{name: "root without CAP_SYS_ADMIN", become: noAdmin, words: words(inOwn, "user namespace", view, "own uid", inner)},
		{name: "root without CAP_SYS_ADMIN, bare", become: noAdmin, refused: "namespaces", words: words("subreaper shim", "own uid", inner),
			missing: []string{"pid namespace", "read-only system: there is no mount namespace here"}},
		{name: "nobody", become: nobody, words: words(inOwn, "user namespace", view, inner), missing: []string{"own uid: not root"}},
		{name: "nobody, bare", become: nobody, refused: "namespaces", words: words("subreaper shim", inner),
			missing: []string{"pid namespace", "read-only system: there is no mount namespace here", "own uid: not root", "files' modes"}},
	}
}

// command runs the test binary's part in the environment.
func (e environment) command(exe string, part ...string) *exec.Cmd {
	args := slices.Clone(e.become)
	if e.refused != "" {
		args = append(args, exe, "filtered", e.refused)
	}
	args = append(append(args, exe), part...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	// What must not be seen inside.
	cmd.Env = append(os.Environ(), "SERVER_SECRET=token", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A house is the directory of a server with two functions.
type house struct {
	Root    string // hidden from functions
	Level   sandbox.Level
	Network sandbox.Network
}

func (h house) at(path string) string { return filepath.Join(h.Root, path) }

// build makes the house where nothing but the walls hides it: all of it may be
// read by everybody, and Landlock allows what is beside it.
func buildHouse(t *testing.T) house {
	t.Helper()
	parent, err := os.MkdirTemp("/opt", "sandbox-test-")
	if err != nil {
		parent = t.TempDir() // not root
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	h := house{Root: filepath.Join(parent, "data"), Level: sandbox.LevelFull, Network: sandbox.NetworkHost}
	for _, dir := range []string{"one/code", "one/temp", "two/code", "two/temp", "cache"} {
		if err := os.MkdirAll(h.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"tokens", "one/code/main", "two/code/main", "two/temp/file"} {
		if err := os.WriteFile(h.at(file), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{parent, h.Root, h.at("one/temp"), h.at("two/temp"), h.at("cache")} {
		mode := os.FileMode(0o755)
		if strings.HasSuffix(dir, "temp") || strings.HasSuffix(dir, "cache") {
			mode = 0o777 // instead of a chown to whom it may be
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// A verdict is what a server found out with an intruder inside.
type verdict struct {
	Words, Missing []string
	Results        map[string]string
	Neighbour      string // how it ended
}

// playHouse is the server: two functions, of which the first is an intruder.
func playHouse(description string) error {
	var h house
	if err := json.Unmarshal([]byte(description), &h); err != nil {
		return err
	}
	walls, err := sandbox.Find(context.Background(), sandbox.Options{Shim: shimOf(""), Level: h.Level, Hidden: []string{h.Root}, Users: true, Network: h.Network})
	if err != nil {
		return err
	}
	v := verdict{Words: walls.Words(), Missing: walls.Missing()}
	second, err := sandbox.Start(sandbox.Config{
		Path: "/usr/bin/python3", Args: []string{"-c", "import time; print(flush=True); time.sleep(1000)"},
		Dir: h.at("two/code"), Temp: h.at("two/temp"), User: 20002, Env: []string{"FUNCTION_SECRET=two"}, Shim: shimOf(""), Walls: walls,
	})
	if err != nil {
		return err
	}
	defer second.Close()
	neighbour, err := commandOf(second)
	if err != nil {
		return fmt.Errorf("the neighbour: %w", err)
	}
	abstract, err := net.Listen("unix", fmt.Sprintf("@sandbox-test-%d", os.Getpid()))
	if err != nil {
		return err
	}
	defer abstract.Close()
	cfg := h.intruder(walls, map[string]int{"neighbour": neighbour, "its shim": second.Pid(), "server": os.Getpid()}, abstract.Addr().String()[1:])
	var out bytes.Buffer
	if err := sandbox.Run(context.Background(), cfg, &out); err != nil {
		return fmt.Errorf("the intruder: %w\n%s", err, out.Bytes())
	}
	if err := json.Unmarshal(out.Bytes(), &v.Results); err != nil {
		return fmt.Errorf("the intruder said %q: %w", out.Bytes(), err)
	}
	select {
	case <-second.Done():
		v.Neighbour = second.Exit().Words()
	default:
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// commandOf waits until a command is up, and finds its pid as seen from here.
func commandOf(p *sandbox.Process) (int, error) {
	if _, err := p.Stdout.Read(make([]byte, 1)); err != nil {
		return 0, err
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Pid()))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		var pid int
		text, _ := os.ReadFile(file)
		if n, _ := fmt.Sscan(string(text), &pid); n == 1 {
			return pid, nil
		}
	}
	return 0, errors.New("the shim has no child")
}

func (h house) intruder(walls sandbox.Walls, pids map[string]int, abstract string) sandbox.Config {
	uid, gid := os.Getuid(), os.Getgid()
	if walls.OwnUser() {
		uid, gid = 20001, 20001
	}
	signal := syscall.SIGKILL
	write := []string{"/usr/x", "/etc/x", "/x", "/proc/sys/kernel/core_pattern", h.at("one/code/x"), h.at("two/temp/x"), h.at("tokens"), h.at("one/temp/x"), h.at("cache/x"), "/tmp/x", "/var/tmp/x", "/dev/shm/x"}
	if h.Level == sandbox.LevelOff { // it would work
		signal, write = 0, []string{}
	}
	plan, err := json.Marshal(map[string]any{
		"signal":   signal,
		"write":    write,
		"read":     []string{h.at("tokens"), h.at("two/code/main"), h.at("two/temp/file"), h.at("one/code/main"), "/etc/resolv.conf", "/etc/passwd"},
		"list":     []string{h.Root, filepath.Dir(h.Root), "/root", "/usr"},
		"pids":     pids,
		"uid":      uid,
		"gid":      gid,
		"abstract": abstract,
	})
	if err != nil {
		panic(err)
	}
	return sandbox.Config{
		Path: "/usr/bin/python3", Args: []string{"-c", intruder, string(plan)},
		Dir: h.at("one/code"), Temp: h.at("one/temp"), Writable: []string{h.at("cache")}, User: 20001,
		Env: []string{"PATH=/usr/bin:/bin", "TMPDIR=" + h.at("one/temp")}, Shim: shimOf(""), Walls: walls,
		Limits: sandbox.Limits{FileSize: 1 << 20, OpenFiles: 200},
	}
}

// works lists what a function may do in every environment.
func (h house) works() []string {
	return []string{
		"read " + h.at("one/code/main"), "read /etc/resolv.conf", "read /etc/passwd", "list /usr",
		"write " + h.at("one/temp/x"), "write " + h.at("cache/x"), "internet socket",
		"no capabilities", "nothing permitted", "no new privileges", "filtered", "uid",
		"threads", "subprocess", "random", "null", "limits of itself",
	}
}

func skipForeign(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the intruder knows the system calls of Linux on amd64 only")
	}
}

func TestWallsFromInside(t *testing.T) {
	skipForeign(t)
	exe := publicCopy(t)
	for _, e := range environments() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			h := buildHouse(t)
			v := e.intrude(t, exe, h)
			e.compare(t, v)
			works := h.works()
			if slices.Contains(v.Words, "read-only system") {
				// They are empty, or its own.
				works = append(works, "terminals", "shared memory", "list "+h.Root, "list "+filepath.Dir(h.Root), "list /root", "write /tmp/x", "write /var/tmp/x", "write /dev/shm/x", "multiprocessing")
			}
			if slices.Contains(v.Words, "own uid") && !slices.Contains(works, "terminals") {
				works = append(works, "terminals") // of others' their uid keeps it away
			}
			if strings.HasPrefix(h.Root, os.TempDir()) { // then this is in its own /tmp
				delete(v.Results, "write "+h.at("tokens"))
			}
			for name, result := range v.Results {
				if works := slices.Contains(works, name); works != (result == "ok") {
					t.Errorf("%s: %s", name, result)
				}
			}
			for _, name := range works {
				if v.Results[name] == "" {
					t.Errorf("%s was not tried", name)
				}
			}
			for _, name := range judgedCalls {
				if !strings.HasPrefix(v.Results[name], "PermissionError") {
					t.Errorf("%s: %s", name, v.Results[name])
				}
			}
			if v.Neighbour != "" {
				t.Errorf("the neighbour %s", v.Neighbour)
			}
		})
	}
}

// judgedCalls are refused by the filter, and fail otherwise where there is none.
var judgedCalls = []string{"mount", "new mount", "user namespace", "clone with a namespace", "ptrace neighbour", "ptrace server", "ptrace shim", "bpf", "x32", "push input", "push input wide", "limits of server"}

// Without walls what the intruder tries works: it fails for no other reason.
func TestIntruderWithoutWalls(t *testing.T) {
	skipForeign(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may do all that the intruder tries")
	}
	h := buildHouse(t)
	h.Level = sandbox.LevelOff
	v := environments()[0].intrude(t, publicCopy(t), h)
	for name, result := range v.Results {
		if name != "keyring" && strings.HasPrefix(result, "PermissionError") {
			t.Errorf("%s: %s", name, result)
		}
	}
	for _, name := range judgedCalls {
		if v.Results[name] == "" {
			t.Errorf("%s was not tried", name)
		}
	}
}

func (e environment) intrude(t *testing.T, exe string, h house) verdict {
	t.Helper()
	description, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	cmd := e.command(exe, "house", string(description))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return v
}

func (e environment) compare(t *testing.T, v verdict) {
	t.Helper()
	slices.Sort(v.Words)
	if !slices.Equal(v.Words, e.words) {
		t.Errorf("enforced:\n%q, not\n%q\nmissing: %q", v.Words, e.words, v.Missing)
	}
	for i, m := range v.Missing {
		if i >= len(e.missing) || !strings.HasPrefix(m, e.missing[i]) {
			t.Errorf("missing: %q, not %q", v.Missing, e.missing)
			break
		}
	}
	if len(v.Missing) < len(e.missing) {
		t.Errorf("missing: %q, not %q", v.Missing, e.missing)
	}
}
