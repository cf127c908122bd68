# Tries from inside a function what must be refused, and what must work. It prints a
# line of JSON: for each attempt "ok" or the error. Nothing here may do harm where no
# wall stands: calls that would are made such that they fail with another error.
import ctypes, json, multiprocessing, os, pty, socket, subprocess, sys, threading

want = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
results = {}


def attempt(name, f, *args):
    try:
        f(*args)
        results[name] = "ok"
    except OSError as e:
        results[name] = e.__class__.__name__ + " " + os.strerror(e.errno or 0)
    except Exception as e:
        results[name] = repr(e)


def read(path):
    with open(path, "rb") as f:
        f.read(1)


def write(path):
    new = not os.path.exists(path)
    open(path, "ab").close()
    if new:
        os.remove(path)


def call(nr, *args):
    args = [a if isinstance(a, (bytes, type(None))) else ctypes.c_long(a) for a in args]
    if libc.syscall(ctypes.c_long(nr), *args) < 0:
        raise OSError(ctypes.get_errno(), "")


def memory(pid):
    with open("/proc/%d/mem" % pid, "rb", 0) as f, open("/proc/%d/maps" % pid) as maps:
        f.seek(int(maps.readline().split("-")[0], 16))
        f.read(1)


def status(name, value):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":") and line.split()[1].strip("0") == value:
            return
    raise Exception(open("/proc/self/status").read())


def equal(a, b):
    if a != b:
        raise Exception("%r is not %r" % (a, b))


def threaded():
    t = threading.Thread(target=lambda: None)
    t.start()
    t.join()


def push_input():
    # The kernel looks at the low half of a request only, so a filter must too.
    terminal = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    call(16, terminal, 0x5412, b"x")


def push_input_wide():
    terminal = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    call(16, terminal, 0x100005412, b"x")


def pooled():
    with multiprocessing.Pool(2) as pool:
        equal(pool.map(abs, [-1, -2]), [1, 2])


def abstract(name):
    s = socket.socket(socket.AF_UNIX)
    s.connect("\0" + name)


for path in want["read"]:
    attempt("read " + path, read, path)
for path in want["list"]:
    attempt("list " + path, os.listdir, path)
for path in want["write"]:
    attempt("write " + path, write, path)
others = dict(want["pids"], shim=os.getppid())
for who, pid in others.items():
    attempt("environ of " + who, read, "/proc/%d/environ" % pid)
    attempt("memory of " + who, memory, pid)
    attempt("ptrace " + who, call, 101, 0x4206, pid, 0, 0)  # PTRACE_SEIZE, until our end
    attempt("kill " + who, os.kill, pid, want["signal"])
attempt("abstract socket", abstract, want["abstract"])
attempt("mount", call, 165, b"tmpfs", b"/is/not/there", b"tmpfs", 0, None)
attempt("new mount", call, 428, -100, b"/is/not/there", 1)  # open_tree, OPEN_TREE_CLONE
attempt("user namespace", call, 272, 0x10000001)  # unshare, with a flag that it has not
attempt("clone with a namespace", call, 56, 0x10000211, 0, 0, 0, 0)  # not with CLONE_FS
attempt("clone3", call, 435, None, 0)
attempt("io_uring", call, 425, 1, None)
attempt("keyring", call, 250, 0, -3, 0)  # which there is
attempt("bpf", call, 321, 0, None, 0)
attempt("x32", call, 0x40000000 + 39)
attempt("unknown call", call, 9999)
attempt("packet socket", socket.socket, 17, socket.SOCK_RAW)
attempt("vsock", socket.socket, 40, socket.SOCK_STREAM)
attempt("internet socket", socket.socket)
attempt("push input", push_input)
attempt("push input wide", push_input_wide)
attempt("limits of server", call, 302, others["server"], 4, None, None)
attempt("limits of itself", call, 302, 0, 4, None, None)
attempt("shared memory", lambda: call(31, call(29, 0, 4096, 0o1600), 0, None))
attempt("become root", os.setuid, 0)
attempt("no capabilities", status, "CapEff", "")
attempt("nothing permitted", status, "CapPrm", "")
attempt("no new privileges", status, "NoNewPrivs", "1")
attempt("filtered", status, "Seccomp", "2")
attempt("uid", equal, (os.getuid(), os.getgid()), (want["uid"], want["gid"]))
attempt("threads", threaded)
attempt("subprocess", lambda: subprocess.run(["/bin/sh", "-c", "/bin/true > /dev/null"], check=True))
attempt("multiprocessing", pooled)
attempt("terminals", pty.openpty)
attempt("random", os.urandom, 1)
attempt("null", write, "/dev/null")
print(json.dumps(results))
