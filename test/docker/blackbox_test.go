package docker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// server is a runtime that is nothing but a program of its own, without any code from the platform: it
// tells what it was given by /init. It prints guard lines only when GUARD is set.
const server = `import http.server, json, os, sys
init = None
def guard():
    if os.environ.get("GUARD"):
        for f in sys.stdout, sys.stderr:
            print("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX", file=f, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global init
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {}
        if self.path == "/init":
            init = body["value"]
        else:
            value = body["value"]
            if value.get("eat"):
                x = []
                while True: x.append(bytearray(10000000))
            if value.get("exit"):
                os._exit(1)
            print("said on stdout", value.get("n"), flush=True)
            print("said on stderr", value.get("n"), file=sys.stderr, flush=True)
            answer = {"n": value.get("n"), "code": init.get("code"), "main": init["main"], "has": "code" in init,
                "secrets": [v for v in os.environ if "WHISKAWAY" in v], "stdin": len(sys.stdin.read())}
            guard()
        b = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(b)))
        self.end_headers()
        self.wfile.write(b)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
`

// buildServer builds the images "server", and "guarded", which prints guard lines. The second bears our own
// runtimes' label, as any image may.
func buildServer(t *testing.T) {
	t.Helper()
	needImages(t)
	for name, line := range map[string]string{"server": "", "guarded": "ENV GUARD=1\nLABEL whiskaway.runtime=1\n"} {
		dir := t.TempDir()
		for file, text := range map[string]string{
			"server.py":  server,
			"Dockerfile": "FROM " + imageName("base") + "\nCOPY server.py /server.py\n" + line + "CMD [\"python3\", \"/server.py\"]\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		docker(t, "build", "--quiet", "--tag", imageName(name), dir)
	}
}

func TestPlatformBlackbox(t *testing.T) {
	buildServer(t)
	p := startPlatform(t, t.TempDir())
	p.put("bare", exe{Kind: "blackbox", Image: imageName("server")}, "")
	p.put("guarded", exe{Kind: "blackbox", Image: imageName("guarded"), Code: "some code", Main: "there"}, "")
	_, shown := p.call("GET", "actions/bare", "")
	if !strings.Contains(string(shown), `"exec":{"kind":"blackbox","binary":false,"image":"`+imageName("server")+`"}`) {
		t.Errorf("the action is shown as %s", shown)
	}
	for _, c := range []struct{ name, want string }{
		{"bare", `{"n": 1, "code": null, "main": "main", "has": false, "secrets": [], "stdin": 0}`},
		{"guarded", `{"n": 1, "code": "some code", "main": "there", "has": true, "secrets": [], "stdin": 0}`},
	} {
		for range 2 {
			a := p.invoke(c.name, `{"n": 1}`)
			if string(a.Response.Result) != c.want {
				t.Errorf("%s: %s, want %s", c.name, a.Response.Result, c.want)
			}
			if out, errs := a.said("stdout"), a.said("stderr"); !slices.Equal(out, []string{"said on stdout 1"}) || !slices.Equal(errs, []string{"said on stderr 1"}) {
				t.Errorf("%s logged %q", c.name, a.Logs)
			}
		}
	}
	if n := len(p.ours("{{.ID}}")); n != 2 {
		t.Errorf("two runs of two actions used %d containers", n)
	}
	p.fails("bare", `{"exit": true}`, 2, "The action did not produce a valid response and exited unexpectedly.")
	// Our own runtime as a user's image, with code.
	p.put("own", exe{Kind: "blackbox", Image: imageName("whiskaway-python"), Code: "import os\ndef main(a): return {'secrets': [v for v in os.environ if 'TOKEN' in v or 'BALANCER' in v]}"}, "")
	if got := p.result("own", "{}"); got != `{"secrets":[]}` {
		t.Errorf("our runtime as a user's image: %s", got)
	}
	for want, e := range map[string]exe{
		"'image' must be a string defined in 'exec' for 'blackbox' actions": {Kind: "blackbox"},
		"could not parse image name":                                        {Kind: "blackbox", Image: "UPPER CASE"},
	} {
		if status, answer := p.tryPut("bad", e, ""); status != 400 || !strings.Contains(string(answer), want) {
			t.Errorf("%+v: %d %s", e, status, answer)
		}
	}
}

// Images that cannot work are told apart, and cost nobody else anything.
func TestPlatformImagesThatDoNotWork(t *testing.T) {
	needImages(t)
	p := startPlatform(t, t.TempDir(), "--pull", "never")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+imageName("base")+"\nCMD [\"false\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	docker(t, "build", "--quiet", "--tag", imageName("ends"), dir)
	p.put("missing", exe{Kind: "blackbox", Image: "nobody/nothing:1.0"}, "")
	p.put("ends", exe{Kind: "blackbox", Image: imageName("ends")}, "")
	p.put("no-command", exe{Kind: "blackbox", Image: imageName("base")}, "")
	p.put("deaf", exe{Kind: "blackbox", Image: imageName("whiskaway-runtime"), Main: "main"}, `{"timeout": 2000}`)
	p.fails("missing", "{}", 2, "Failed to pull container image 'nobody/nothing:1.0'. (the image is not on this machine, and the policy is never to pull any)")
	began := time.Now()
	p.fails("ends", "{}", 2, "The action did not initialize and exited unexpectedly.")
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("a container that ended at once was waited for %s", took)
	}
	p.fails("no-command", "{}", 3, "Failed to provision resources to run the action.")
	p.fails("deaf", "{}", 2, "") // it wants code
	eventually(t, "no container of these is left", func() bool { return len(p.ours("{{.ID}}")) == 0 })
}
