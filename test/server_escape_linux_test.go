package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/whiskaway/whiskaway/function"
)

// escaper tries to reach what is not its own. Each attempt is harmless where it works: it sets what
// is set already, and makes what it can remove.
const escaper = `
import ctypes, errno, os, pty, resource, socket, stat, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(nr, *args):
    args = [a if isinstance(a, (bytes, type(None), ctypes.Array)) else ctypes.c_long(a) for a in args]
    n = libc.syscall(ctypes.c_long(nr), *args)
    if n < 0: raise OSError(ctypes.get_errno(), "")
    return n
def read(path):
    with open(path, "rb", 0) as f: return f.read(1)
def first(path):
    with open(path, "rb", 0) as f: return f.readline()
def memory(pid):
    with open("/proc/%d/mem" % pid, "rb", 0) as f, open("/proc/%d/maps" % pid) as maps:
        f.seek(int(maps.readline().split("-")[0], 16)); f.read(1)
def limits(pid):
    old = ctypes.create_string_buffer(16)
    call(302, pid, resource.RLIMIT_CORE, None, old)
    call(302, pid, resource.RLIMIT_CORE, old, None)
def terminal(path):
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
def shm():
    id = call(29, 0, 4096, 0o1600)     # shmget(IPC_PRIVATE): stays until somebody removes it
    call(31, id, 0, None)
def semaphores(): call(66, call(64, 0, 1, 0o1600), 0, 0, None)
def messages(): call(71, call(68, 0, 0o1600), 0, None)
def queue():
    name = b"escape-%d" % os.getpid()
    os.close(call(240, name, os.O_RDWR | os.O_CREAT, 0o600, None)); call(241, name)
def chmod(path): os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
def link(path): os.link(path, os.environ["TMPDIR"] + "/link"); os.remove(os.environ["TMPDIR"] + "/link")
def node(kind, device): os.mknod(os.environ["TMPDIR"] + "/node", kind | 0o666, device); os.remove(os.environ["TMPDIR"] + "/node")
def setuid():
    for line in open("/proc/self/status"):
        if line.startswith("NoNewPrivs:") and line.split()[1] == "1": raise PermissionError(errno.EPERM, "")
def main(args):
    results = {}
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        try: fds[fd] = os.readlink("/proc/self/fd/" + fd)
        except OSError: pass # that of the list itself
    def attempt(name, f, *a):
        try: f(*a); results[name] = "ok"
        except OSError as e: results[name] = e.__class__.__name__ + " " + os.strerror(e.errno or 0)
        except Exception as e: results[name] = repr(e)
    for who, pid in (("server", args["server"]), ("shim", os.getppid())):
        for what in ("environ", "maps", "auxv", "stack", "io", "smaps"): attempt("%s of %s" % (what, who), first, "/proc/%d/%s" % (pid, what))
        for what in ("fd", "map_files", "root", "cwd"): attempt("%s of %s" % (what, who), os.listdir, "/proc/%d/%s/" % (pid, what))
        attempt("memory of " + who, memory, pid)
        attempt("write to memory of " + who, lambda: open("/proc/%d/mem" % pid, "r+b").close())
        attempt("oom_score_adj of " + who, lambda: open("/proc/%d/oom_score_adj" % pid, "r+b").close())
        attempt("signal to " + who, os.kill, pid, 28)
        attempt("limits of " + who, limits, pid)
        attempt("pidfd signal to " + who, lambda: call(424, os.pidfd_open(pid), 28, None, 0))
        attempt("memory of " + who + " by vm_readv", call, 310, pid, None, 0, None, 0, 0)
        attempt("seize " + who, call, 101, 0x4206, pid, 0, 0)
    for path in args["foreign"]:
        attempt("read " + path, read, path)
        attempt("list " + path, os.listdir, path)
        attempt("link " + path, link, path)
        attempt("mode of " + path, chmod, path)
        attempt("times of " + path, os.utime, path, (1, 1))
        attempt("watch " + path, lambda: call(254, call(294, 0), os.fsencode(path), 2))
    for path in ("/etc/shadow", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/fuse", "/dev/net/tun", "/dev/kvm", "/dev/vsock", "/dev/loop-control"):
        attempt("read " + path, terminal if path.startswith("/dev") else read, path)
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/power/state", "/sys/fs/cgroup/unified/cgroup.procs", "/proc/1/oom_score_adj", "/etc/x", "/usr/x"):
        attempt("write " + path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)))
    attempt("terminal", terminal, args["terminal"])
    attempt("device", node, stat.S_IFCHR, os.makedev(1, 1))
    attempt("block device", node, stat.S_IFBLK, os.makedev(7, 0))
    attempt("setuid programs", setuid)
    attempt("root", os.setuid, 0 if os.getuid() else 1)
    attempt("groups", os.setgroups, [0])
    attempt("chroot", os.chroot, ".")
    attempt("pivot_root", call, 155, b".", b".")
    attempt("userfaultfd", call, 323, 1)
    attempt("perf", call, 298, None, 0, -1, -1, 0)
    attempt("keyring", call, 250, 0, -3, 0)
    attempt("io_uring", call, 425, 1, None)
    attempt("bpf", call, 321, 0, None, 0)
    attempt("handle", call, 304, -1, None, 0)
    attempt("raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
    attempt("packet socket", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
    attempt("vsock", socket.socket, 40, socket.SOCK_STREAM)
    attempt("crypto socket", socket.socket, 38, socket.SOCK_SEQPACKET)
    if not args["private"]:
        # What outlives every process, where there is no namespace for it.
        for name, f in (("shm", shm), ("semaphores", semaphores), ("messages", messages), ("queue", queue)): attempt(name, f)
    if args["terminals"]:
        for end in pty.openpty(): os.close(end)
    resource.prlimit(0, resource.RLIMIT_CORE)
    return {"results": results, "fds": fds, "uid": os.getuid()}
`

// serverUser is the uid that the server runs with.
func (d *solo) serverUser(t *testing.T) int {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// openTerminal is one that belongs to the user, as that of an operator.
func openTerminal(t *testing.T, user int) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path := "/dev/pts/" + strconv.Itoa(n)
	if err := os.Chown(path, user, -1); err != nil {
		t.Fatal(err)
	}
	return path
}

// A function that tries all it can from inside gets at nothing that is not its own.
func TestAFunctionReachesNothingOfOthers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the function knows the system calls of amd64 only")
	}
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			escape(t, begin(t))
		})
	}
}

func escape(t *testing.T, d *solo) {
	t.Helper()
	walls := strings.Join(d.status().Servers[0].Walls, ", ")
	private, users := strings.Contains(walls, "read-only system"), strings.Contains(walls, "own uid")
	neighbour := d.init(specOf("python:3", spy, func(s *function.Spec) { s.Namespace = "stranger" }), spy)
	env := neighbour.run(`{}`)["env"].(map[string]any)
	foreign := []any{filepath.Join(d.dir, "id"), env["TMPDIR"], env["WHISKAWAY_CACHE"]}
	if !private { // else something of its own is there
		foreign = append(foreign, d.dir)
	}
	args, err := json.Marshal(map[string]any{
		"server": d.cmd.Process.Pid, "private": private, "foreign": foreign,
		"terminal": openTerminal(t, d.serverUser(t)), "terminals": private || users,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := d.init(specOf("python:3", escaper), escaper).run(string(args))
	for attempt, result := range got["results"].(map[string]any) {
		what, _, _ := strings.Cut(attempt, " ")
		known := !private && !users && slices.Contains([]string{"mode", "times", "watch", "fd"}, what)
		if strings.Contains(fmt.Sprint(result), "Error") {
			continue
		}
		if known { // the status says so
			t.Logf("%s: %v, which nothing keeps it from where all have one uid and no mount namespace", attempt, result)
			continue
		}
		t.Errorf("%s: %v", attempt, result)
	}
	// Its input, outputs and answers, and none of the shim's.
	pipes := map[any]bool{}
	for fd, to := range got["fds"].(map[string]any) {
		pipes[to] = true
		if to != "/dev/null" && !strings.HasPrefix(fmt.Sprint(to), "pipe:") {
			t.Errorf("it has the file descriptor %s: %v", fd, to)
		}
	}
	if delete(pipes, "/dev/null"); len(pipes) != 4 {
		t.Errorf("it has the pipes %v", pipes)
	}
	neighbour.run(`{}`)
}

// swapper makes a directory in its cache a link to another's, and back, while the server removes
// what is in there.
const swapper = `
import ctypes, os, threading
libc = ctypes.CDLL(None)
def main(args):
    cache, over = os.environ["WHISKAWAY_CACHE"], threading.Event()
    real, link = os.fsencode(cache + "/a"), os.fsencode(cache + "/b")
    os.mkdir(real); os.symlink(args["victim"], link)
    def swap():
        while not over.is_set(): libc.renameat2(-100, real, -100, link, 2) # RENAME_EXCHANGE
    swapping = threading.Thread(target=swap); swapping.start()
    for round in range(args["rounds"]):
        for n in range(200):
            for path in (real, link):
                try:
                    with open(b"%s/%d" % (path, n), "wb") as f: f.write(b"x" * 4096)
                    os.utime(b"%s/%d" % (path, n), (1, 1))
                except OSError: pass
        newest, written = cache + "/old", 0
        open(newest, "wb").write(b"x" * 4096); os.utime(newest, (2, 2)) # goes when all of these are gone
        while os.path.exists(newest):
            if written < 64:
                with open("%s/%d-%d" % (cache, round, written), "wb") as f: f.write(os.urandom(1 << 20))
            written += 1
            threading.Event().wait(0.02)
        for name in os.listdir(cache):
            try: "-" in name and os.remove(cache + "/" + name)
            except FileNotFoundError: pass
    over.set(); swapping.join()
    return {}
`

// The server is root, and a function must not choose what it removes.
func TestACacheCannotMakeTheServerRemoveOthersFiles(t *testing.T) {
	d := startSolo(t, "--cache", "2m", "--disk", "8m")
	victim := t.TempDir()
	for n := range 200 {
		if err := os.WriteFile(filepath.Join(victim, strconv.Itoa(n)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.init(specOf("python:3", swapper), swapper).run(fmt.Sprintf(`{"victim":%q,"rounds":3}`, victim))
	if left, err := os.ReadDir(victim); err != nil || len(left) != 200 {
		t.Errorf("of 200 files that are not its own %d are left, %v", len(left), err)
	}
}

// digger leaves directories in each other, deeper than a path can be and a process can hold open, which
// are closed to their own user.
const digger = `
import os
def main(args):
    for top in (os.environ["TMPDIR"], os.environ["WHISKAWAY_CACHE"]):
        fds = [os.open(top, os.O_RDONLY)]
        for n in range(args["levels"]):
            os.mkdir("deep-down", dir_fd=fds[-1])
            os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fds[-1]))
            fds.append(os.open("deep-down", os.O_RDONLY, dir_fd=fds[-1]))
            os.close(fds.pop(0))
    os.chmod(os.environ["TMPDIR"] + "/deep-down", 0); os.chmod(os.environ["TMPDIR"], 0)
    return {}
`

func TestADeepTreeGoesWithItsWorker(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Fatal("prlimit is missing; it is in Debian's package util-linux")
	}
	d := startSoloBehind(t, []string{prlimit, "--nofile=256:256"}, publicDir(t, 0), "--lease-grace", "1ms")
	g := d.init(specOf("python:3", digger), digger)
	g.run(`{"levels":600}`)
	g.stop()
	eventually(t, "the function's directory goes", func() bool { return len(d.functionDirs()) == 0 })
}

// clinger leaves processes by every trick that there is, and then attacks the shim.
const clinger = `
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def stay(stopped=False):
    os.setsid()
    libc.prctl(1, 0) # PR_SET_PDEATHSIG: none
    if stopped: os.kill(os.getpid(), signal.SIGSTOP)
    os.execve("/bin/sh", ["sh", "-c", "trap '' INT TERM HUP; sleep 1000"], {"MARK": "MARKER"})
def main(args):
    libc.prctl(1, 0)
    for stopped in (False, True):
        if os.fork() == 0:
            if os.fork() == 0: stay(stopped)
            os._exit(0)
    if libc.syscall(56, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) == 0: stay() # CLONE_PARENT
    if os.fork() == 0:
        libc.prctl(36, 1) # PR_SET_CHILD_SUBREAPER
        if os.fork() == 0: stay()
        stay()
    for name in args["signals"]:
        try: os.kill(os.getppid(), getattr(signal, name))
        except OSError: pass
    return {}
`

// Weak walls are no excuse for survivors.
func TestNothingOutlivesItsWorkerBehindWeakWalls(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the function knows the system calls of amd64 only")
	}
	for name, begin := range environments(t) {
		for _, level := range []string{"full", "process", "off"} {
			t.Run(name+"/"+level, func(t *testing.T) {
				t.Parallel()
				d := begin(t, "--sandbox", level, "--lease-grace", "1ms")
				for _, signals := range []string{`[]`, `["SIGSTOP"]`, `["SIGKILL"]`} {
					marker := fmt.Sprintf("marker-%016x", rand.Uint64())
					code := strings.ReplaceAll(clinger, "MARKER", marker)
					g := d.init(specOf("python:3", code), code)
					g.try(t.Context(), `{"signals":`+signals+`}`, patience)
					if signals == `[]` {
						eventually(t, "all of them stay", func() bool { return len(processesWith(marker)) >= 4 })
					}
					g.stop()
					nothingLeft(t, marker)
				}
				eventually(t, "all functions go", func() bool { return len(d.functionDirs()) == 0 })
			})
		}
	}
}

// What functions depend on is built by strangers' code too.
func TestABuildReadsNothingThatIsRootsAlone(t *testing.T) {
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open, err := os.MkdirTemp("/opt", "whiskaway-test-") // which commands may look at
			if err != nil {
				t.Skip("only root has something of its own there")
			}
			defer os.RemoveAll(open)
			secret, compile := filepath.Join(open, "secret"), filepath.Join(publicDir(t, 0), "compile")
			if err := errors.Join(os.Chmod(open, 0o755), os.WriteFile(secret, []byte("a secret"), 0o600)); err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\n! cat " + secret + " || exit 1\ncd && touch home && cp $2/exec $3/exec"
			if err := os.WriteFile(compile, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			d := begin(t, "--compiler", "sh:1="+compile)
			code := "#!/bin/sh\necho '{\"ok\":true}' >&3; while read -r line; do echo '{}' >&3; done\n"
			d.init(specOf("sh:1", code), code).run(`{}`)
		})
	}
}
