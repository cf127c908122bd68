package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary also plays the processes that the tests put into groups.
func TestMain(m *testing.M) {
	parts := map[string]func(args []string){
		"open":     playOpen,
		"server":   playServer,
		"churn":    playChurn,
		"delegate": playDelegate,
		"connect":  playConnect,
	}
	if len(os.Args) > 1 && parts[os.Args[1]] != nil {
		parts[os.Args[1]](os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

// playOpen tells what Open says.
func playOpen(args []string) {
	_, err := Open(args[0], slog.New(slog.DiscardHandler))
	fmt.Println(errors.Is(err, ErrNone), err)
}

// playServer makes a group with a process that left its session, restricts it,
// and waits to be killed.
func playServer(args []string) {
	m, err := Open(args[0], slog.New(slog.DiscardHandler))
	check(err)
	check(m.SetBudget(1 << 30))
	g, err := m.New("left", Limits{Memory: 256 << 20, Processes: 50})
	check(err)
	check(m.Restrict(nil))
	check(g.Add(os.Getpid())) // what we start is in the group from its first moment
	sleeper := exec.Command("sleep", "1000")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	check(sleeper.Start())
	check(write(m.trees[0].own, "cgroup.procs", strconv.Itoa(os.Getpid())))
	fmt.Println(sleeper.Process.Pid)
	time.Sleep(time.Hour)
}

// playChurn makes and closes groups until it is killed. A shell that was not
// yet added ends with its input, which is ours.
func playChurn(args []string) {
	m, err := Open(args[0], slog.New(slog.DiscardHandler))
	check(err)
	fmt.Println("open")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				cmd := exec.Command("/bin/sh", "-c", "read go && setsid -f sleep "+args[1]+" && exec sleep "+args[1])
				in, err := cmd.StdinPipe()
				check(err)
				check(cmd.Start())
				g, err := m.New("w", Limits{Memory: 64 << 20, Processes: 10})
				check(err)
				check(g.Add(cmd.Process.Pid))
				_, err = io.WriteString(in, "go\n")
				check(err)
				check(g.Close())
				cmd.Wait()
			}
		})
	}
	wg.Wait()
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// part starts the test binary in another part.
func part(t *testing.T, args ...string) *member {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	// Under the race detector a process waits a second at its exit.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return start(t, cmd)
}

// member is a process that a test talks to by lines.
type member struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, cmd *exec.Cmd) *member {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &member{cmd, in, bufio.NewScanner(out)}
}

// inGroup starts a shell in the group, which then becomes the command.
func inGroup(t *testing.T, g *Group, command ...string) *member {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read go; exec "$@"`, "sh"}, command...)...)
	m := start(t, cmd)
	if err := g.Add(m.Process.Pid); err != nil {
		t.Fatal(err)
	}
	m.say(t, "go")
	return m
}

func (m *member) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(m.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (m *member) line(t *testing.T) string {
	t.Helper()
	if !m.out.Scan() {
		t.Fatalf("%s said nothing: %v", m.Path, m.out.Err())
	}
	return m.out.Text()
}

func (m *member) number(t *testing.T) int {
	t.Helper()
	line := m.line(t)
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("%s said %q", m.Path, line)
	}
	return n
}

// testName is one that no other run of the tests has.
func testName(t *testing.T) string {
	return fmt.Sprintf("test-%d-%s", os.Getpid(), sanitise(t.Name()))
}

// manager opens the real thing, or skips the test.
func manager(t *testing.T) *Manager {
	t.Helper()
	m, err := Open(testName(t), slog.New(slog.DiscardHandler))
	if errors.Is(err, ErrNone) {
		t.Skipf("needs control groups: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, m) })
	return m
}

// closeAll also checks that no directory is left.
func closeAll(t *testing.T, m *Manager) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for _, tree := range m.trees {
		if exists(tree.dir, "") {
			t.Errorf("%s is left", tree.dir)
		}
	}
}

func newGroup(t *testing.T, m *Manager, l Limits) *Group {
	t.Helper()
	g, err := m.New("worker", l)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func need(t *testing.T, m *Manager, word string) {
	t.Helper()
	for _, w := range m.Enforced() {
		if w == word {
			return
		}
	}
	t.Skipf("%q is not enforced here, only %q", word, m.Enforced())
}

// findPython finds a real interpreter, not a launcher that starts one, which
// takes a while.
var findPython = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err
})

func python(t *testing.T) string {
	t.Helper()
	path, err := findPython()
	if err != nil {
		t.Skipf("needs python3: %v", err)
	}
	return path
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !poll(done) {
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// v1Only shows the real version 1 hierarchies, and hides version 2.
func v1Only(t *testing.T) host {
	t.Helper()
	root := t.TempDir()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	var kept []string
	for line := range strings.Lines(string(groups)) {
		if !strings.HasPrefix(line, "0:") {
			kept = append(kept, line)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "proc/self/cgroup", strings.Join(kept, ""))
	put(t, root, "proc/self/mountinfo", string(mounts))
	if err := os.Mkdir(filepath.Join(root, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/sys/fs", filepath.Join(root, "sys/fs")); err != nil {
		t.Fatal(err)
	}
	h := realHost()
	h.root = root
	return h
}

func put(t *testing.T, root, file, text string) {
	t.Helper()
	path := filepath.Join(root, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// playDelegate is a server on pure v2, where its own group must hand a
// controller down. It says what it sees before Close and after.
func playDelegate(args []string) {
	own := args[0]
	h := realHost()
	h.wanted = []string{args[1]}
	m, err := open(h, "d", slog.New(slog.DiscardHandler))
	check(err)
	g, err := m.New("w", Limits{})
	check(err)
	tree := m.trees[0]
	fmt.Println(tree.own == own, tree.has(args[1]), filepath.Base(tree.leaf), exists(g.dir(tree), args[2]))
	check(m.Close())
	left, _ := os.ReadDir(own)
	for _, entry := range left {
		if entry.IsDir() {
			fmt.Println("left:", entry.Name())
		}
	}
	fmt.Println("own", len(members(own)))
}

// playConnect tries the addresses that it is told, and says for each what the
// kernel answered: to connect by TCP, to connect by UDP, to send by UDP, and to
// send with the first packet of a TCP connection.
func playConnect([]string) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		target := netip.MustParseAddrPort(lines.Text())
		fmt.Println(tryAll(target))
	}
}

func tryAll(target netip.AddrPort) string {
	return strings.Join([]string{
		try(target, unix.SOCK_STREAM, unix.Connect),
		try(target, unix.SOCK_DGRAM, unix.Connect),
		try(target, unix.SOCK_DGRAM, func(fd int, to unix.Sockaddr) error {
			return unix.Sendto(fd, []byte("x"), 0, to)
		}),
		try(target, unix.SOCK_STREAM, func(fd int, to unix.Sockaddr) error {
			return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to)
		}),
	}, " ")
}

func try(target netip.AddrPort, kind int, do func(int, unix.Sockaddr) error) string {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(target.Port()), Addr: target.Addr().As16()})
	if target.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}
	}
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return "socket:" + err.Error()
	}
	defer unix.Close(fd)
	if errors.Is(do(fd, to), unix.EPERM) {
		return "refused"
	}
	return "allowed"
}
