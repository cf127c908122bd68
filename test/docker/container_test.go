package docker

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const guard = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

// asInvoker are the flags with which OpenWhisk's invoker starts an action's container (its
// DockerContainer.scala): 256 MB, 1024 files and processes, no raw sockets.
var asInvoker = []string{"--network", "bridge", "--cap-drop", "NET_RAW", "--cap-drop", "NET_ADMIN", "--ulimit", "nofile=1024:1024",
	"--pids-limit", "1024", "--memory", "256m", "--memory-swap", "256m", "--cpu-shares", "256", "--env", "__OW_API_HOST=http://example.invalid"}

// readOnly are the flags of a container whose root file system cannot be written to.
var readOnly = []string{"--read-only", "--tmpfs", "/tmp"}

// A container runs until its test ends.
type container struct {
	t    *testing.T
	id   string
	name string
}

// start runs an image, with flags of `docker run` and then its arguments.
func start(t *testing.T, image string, flags []string, args ...string) *container {
	t.Helper()
	id := docker(t, slices.Concat([]string{"run", "--detach"}, flags, []string{imageName(image)}, args)...)
	c := &container{t: t, id: id, name: image}
	t.Cleanup(func() {
		if t.Failed() {
			out, errs := c.logs()
			t.Logf("%s printed:\n%s\nand on stderr:\n%s", image, out, errs)
		}
		exec.Command("docker", "rm", "--force", "--volumes", id).Run()
	})
	return c
}

// address is where the other containers and this process reach a port of it.
func (c *container) address(port string) string {
	c.t.Helper()
	return docker(c.t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", c.id) + ":" + port
}

// state is the engine's word: running, paused or exited.
func (c *container) state() string {
	c.t.Helper()
	return docker(c.t, "inspect", "--format", "{{.State.Status}}", c.id)
}

// logs returns what it printed so far.
func (c *container) logs() (stdout, stderr string) {
	cmd := exec.Command("docker", "logs", c.id)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String()
}

// waitFor waits until stdout contains text.
func (c *container) waitFor(text string) {
	c.t.Helper()
	eventually(c.t, c.name+" prints "+text, func() bool {
		out, _ := c.logs()
		return strings.Contains(out, text)
	})
}

// guarded waits until the guard line was printed n times on both streams, and says what else was printed.
func (c *container) guarded(n int) (stdout, stderr string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%d guard lines from %s", n, c.name), func() bool {
		stdout, stderr = c.logs()
		return strings.Count(stdout, guard+"\n") >= n && strings.Count(stderr, guard+"\n") >= n
	})
	if strings.Count(stdout, guard) != n || strings.Count(stderr, guard) != n {
		c.t.Errorf("more than %d guard lines:\n%s\n%s", n, stdout, stderr)
	}
	return stdout, stderr
}

// An action is a container that OpenWhisk calls.
type action struct {
	*container
	url string
}

// startRuntime runs an image and waits until it listens, as the invoker does: by trying.
func startRuntime(t *testing.T, image string, flags ...string) *action {
	t.Helper()
	r := &action{container: start(t, image, flags)}
	r.url = "http://" + r.address("8080")
	eventually(t, image+" listens", func() bool {
		resp, err := http.Get(r.url + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	})
	return r
}

// post sends a body, and returns the status and the answer.
func (r *action) post(path, body string) (int, string) {
	r.t.Helper()
	resp, err := (&http.Client{Timeout: patience}).Post(r.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Errorf("%s%s: %v", r.name, path, err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.ContentLength != int64(len(b)) {
		r.t.Errorf("%s%s answered %d bytes, announced %d: %v", r.name, path, len(b), resp.ContentLength, err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// init hands over a function, which must succeed.
func (r *action) init(main, code string, binary bool) {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{"value": map[string]any{"name": "f", "main": main, "code": code, "binary": binary,
		"env": map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f"}}})
	if err != nil {
		r.t.Fatal(err)
	}
	if status, answer := r.post("/init", string(body)); status != 200 {
		r.t.Fatalf("%s /init: %d %s", r.name, status, answer)
	}
}

// call sends a value to /run.
func (r *action) call(value string) (int, string) {
	r.t.Helper()
	return r.post("/run", fmt.Sprintf(`{"value":%s,"activation_id":"a","deadline":"%d"}`, value, time.Now().Add(patience).UnixMilli()))
}

// answers calls and compares.
func (r *action) answers(value, want string) {
	r.t.Helper()
	if status, answer := r.call(value); status != 200 || strings.ReplaceAll(answer, " ", "") != want {
		r.t.Errorf("%s /run with %s: %d %s, want %s", r.name, value, status, answer, want)
	}
}
