package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// spy tells its process, and what it can find out about others.
const spy = `
import os, uuid
WORKER = uuid.uuid4().hex
def tell(): 
    return {"worker": WORKER, "env": dict(os.environ), "cwd": os.getcwd()}
def main(args):
    answer = tell()
    answer["found"] = look(args["secrets"]) if "secrets" in args else []
    return answer
def other(args):
    return main(args)
def look(secrets):
    # Whatever can be read of other processes and of likely places on the disk.
    found, places = [], ["/tmp", "/var/tmp", "/dev/shm", os.path.dirname(os.getcwd()), os.path.dirname(os.path.dirname(os.getcwd()))]
    files = ["/proc/%s/%s" % (pid, what) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid() for what in ("environ", "cmdline")]
    for place in places:
        for root, dirs, names in os.walk(place):
            files += [os.path.join(root, n) for n in names]
    for path in files:
        try:
            with open(path, "rb") as f: text = f.read(1 << 20)
        except OSError: continue
        for secret in secrets:
            if secret.encode() in text and os.environ.get("SECRET") != secret: found.append([path, secret])
    return found
`

// Two namespaces, two mains, two environments with the same code: three times two workers.
func TestFunctionsWithTheSameCodeShareNothing(t *testing.T) {
	d := startSolo(t)
	secrets := []string{"the-first-secret-4711", "the-second-secret-4712"}
	env := func(secret string) func(*function.Spec) {
		return func(s *function.Spec) { s.Env = map[string]string{"SECRET": secret} }
	}
	pairs := map[string][2]function.Spec{
		"namespaces":   {specOf("python:3", spy), specOf("python:3", spy, func(s *function.Spec) { s.Namespace = "stranger" })},
		"mains":        {specOf("python:3", spy, func(s *function.Spec) { s.Action = "mains" }), specOf("python:3", spy, func(s *function.Spec) { s.Action, s.Main = "mains", "other" })},
		"environments": {specOf("python:3", spy, env(secrets[0])), specOf("python:3", spy, env(secrets[1]))},
	}
	workers, dirs := map[string]string{}, map[string]string{}
	ask := fmt.Sprintf(`{"secrets":[%q,%q]}`, secrets[0], secrets[1])
	var all []*guest
	for _, pair := range pairs {
		for _, spec := range pair {
			all = append(all, d.init(spec, spy))
		}
	}
	for i, g := range all {
		answer := g.run(ask)
		worker, dir := answer["worker"].(string), answer["cwd"].(string)
		if workers[worker] != "" || dirs[dir] != "" {
			t.Errorf("function %d shares its worker or its directory", i)
		}
		workers[worker], dirs[dir] = "taken", "taken"
		if found := answer["found"].([]any); len(found) > 0 {
			t.Errorf("function %d found secrets: %v", i, found)
		}
		environment := answer["env"].(map[string]any)
		for name, value := range environment {
			for _, secret := range secrets {
				if strings.Contains(value.(string), secret) && g.spec.Env["SECRET"] != secret {
					t.Errorf("function %d has %s=%s", i, name, value)
				}
			}
			if strings.Contains(value.(string), soloToken) || name == "WHISKAWAY_TOKEN" {
				t.Errorf("function %d has the server's own %s", i, name)
			}
		}
	}
	if len(workers) != 6 {
		t.Errorf("%d workers, want three times two", len(workers))
	}
}

// prober tries to get at what is not its own, and tells what it could do.
const prober = `
import ctypes, os, signal
def attempt(what):
    try: return [True, repr(what())[:200]]
    except BaseException as e: return [False, "%s: %s" % (type(e).__name__, e)]
def read(path):
    with open(path, "rb") as f: return f.read(100)
def write(path):
    with open(path, "w") as f: f.write("x")
def main(args):
    pid = args["pid"]
    libc = ctypes.CDLL(None, use_errno=True)
    def call(n, *a):
        if libc.syscall(n, *a) == -1: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    answer = {
        "see in the data directory": attempt(lambda: [n for n in os.listdir(args["dir"]) if n in ("id", "lock", "code", "tokens")][0]),
        "list the functions": attempt(lambda: [n for n in os.listdir(args["dir"] + "/functions") if n not in os.getcwd()][0]),
        "read the server's id": attempt(lambda: read(args["dir"] + "/id")),
        "read the code store": attempt(lambda: os.listdir(args["dir"] + "/code")[0]),
        "read another's code": attempt(lambda: read(args["other"] + "/main__.py")),
        "write into another's directory": attempt(lambda: write(args["other"] + "/x")),
        "read another's environment": attempt(lambda: read("/proc/%d/environ" % pid)),
        "read the server's environment": attempt(lambda: read("/proc/%d/environ" % args["server"])),
        "read the server's memory": attempt(lambda: read("/proc/%d/maps" % args["server"])),
        "kill another": attempt(lambda: os.kill(pid, signal.SIGKILL)),
        "kill the server": attempt(lambda: os.kill(args["server"], signal.SIGKILL)),
        "trace the server": attempt(lambda: call(101, 16, args["server"], 0, 0)),
        "write to the system": attempt(lambda: write("/usr/whiskaway-was-here")),
        "write to /etc": attempt(lambda: write("/etc/whiskaway-was-here")),
        "change its code": attempt(lambda: write(os.getcwd() + "/main__.py")),
        "mount": attempt(lambda: call(165, b"none", b"/mnt", b"tmpfs", 0, None)),
        "make a user namespace": attempt(lambda: call(272, 0x10000000)),
    }
    answer["own temp"] = attempt(lambda: write(os.environ["TMPDIR"] + "/mine"))
    answer["own cache"] = attempt(lambda: write(os.environ["WHISKAWAY_CACHE"] + "/" + args["me"]))
    answer["own process"] = attempt(lambda: read("/proc/self/status"))
    return answer
`

func TestAlwaysTrue10NothingForeignCanBeReachedFromInside(t *testing.T) {
	for name, become := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := become(t)
			probe(t, d)
		})
	}
}

// probe runs prober beside another function, and checks what it could do.
func probe(t *testing.T, d *solo) {
	t.Helper()
	named := func(action string) func(*function.Spec) { return func(s *function.Spec) { s.Action = action } }
	victim := d.init(specOf("python:3", spy, named("victim")), spy)
	dir := victim.run(`{}`)["cwd"].(string)
	if dir == "" || !strings.HasPrefix(dir, d.dir) {
		t.Fatalf("the victim's directory is %q", dir)
	}
	pid := pidIn(t, dir)
	g := d.init(specOf("python:3", prober, named("prober")), prober)
	answer := g.run(fmt.Sprintf(`{"pid":%d,"server":%d,"dir":%q,"other":%q,"me":"prober"}`, pid, d.cmd.Process.Pid, d.dir, dir))
	t.Logf("enforced: %s", strings.Join(d.status().Servers[0].Walls, ", "))
	for what, outcome := range answer {
		could, how := outcome.([]any)[0].(bool), outcome.([]any)[1]
		if own := strings.HasPrefix(what, "own "); could != own {
			t.Errorf("%s: %v, %v", what, could, how)
		}
	}
	if victim.run(`{}`)["worker"] == nil {
		t.Error("the victim does not answer")
	}
}

// pidIn is the process id, as we see it, of the process whose working directory is dir.
func pidIn(t *testing.T, dir string) int {
	t.Helper()
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == dir {
			var pid int
			fmt.Sscanf(link, "/proc/%d/cwd", &pid)
			return pid
		}
	}
	t.Fatalf("no process works in %s", dir)
	return 0
}

// A data directory may lie where only the operator may pass, such as below a home directory.
func TestFunctionsRunBelowAClosedDirectory(t *testing.T) {
	closed := filepath.Join(publicDir(t, os.Geteuid()), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	d := startSoloBehind(t, nil, filepath.Join(closed, "data"))
	for _, code := range []struct{ kind, text string }{{"python:3", "def main(args):\n    return {'ok': True}\n"}, {"nodejs:20", "function main() { return { ok: true } }\n"}} {
		if ok := d.init(specOf(code.kind, code.text), code.text).run(`{}`)["ok"]; ok != true {
			t.Errorf("%s: %v", code.kind, ok)
		}
	}
}
