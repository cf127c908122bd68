package docker

import (
	"path/filepath"
	"strings"
	"testing"
)

// The platform in a container itself, with the engine's socket: it and its containers reach each other in a
// network of theirs.
func TestPlatformInAContainer(t *testing.T) {
	needImages(t)
	docker(t, "network", "create", "inside")
	t.Cleanup(func() { removeNetwork("inside") })
	const data = "/var/lib/whiskaway/standalone"
	c := start(t, "whiskaway-server", []string{"--network", "inside", "--entrypoint", "whiskaway", "--volume", filepath.Join(theEngine.dir, "socket") + ":/var/run/docker.sock"},
		append([]string{"standalone", "--driver", "docker", "--docker-network", "inside", "--listen", "0.0.0.0:3233", "--balancer-listen", "0.0.0.0:3234", "--data", data}, ownImages...)...)
	c.waitFor("platform listening on")
	address := docker(t, "inspect", "--format", `{{(index .NetworkSettings.Networks "inside").IPAddress}}`, c.id)
	p := &platform{t: t, api: "http://" + address + ":3233"}
	for line := range strings.Lines(docker(t, "exec", c.id, "cat", data+"/wskprops")) {
		if auth, ok := strings.CutPrefix(line, "AUTH="); ok {
			p.auth = strings.TrimSpace(auth)
		}
	}
	p.put("py", exe{Kind: "python:3", Code: whereCode}, "")
	if got, want := p.result("py", `{"n": 1}`), `{"n":1,"first":"/bin/whiskaway","tokens":[],"api":true}`; got != want {
		t.Errorf("in a container: %s, want %s", got, want)
	}
	p.put("at", exe{Kind: "python:3", Code: "def main(a): return a", Main: "main@local"}, "")
	if got := p.result("at", `{"n":1}`); got != `{"n":1}` {
		t.Errorf("main@local: %s", got)
	}
	docker(t, "stop", c.id)
	id := "label=whiskaway.namespace=guest"
	if left := docker(t, "ps", "--all", "--quiet", "--filter", id, "--filter", "network=inside"); left != "" {
		t.Errorf("docker stop left %s", left)
	}
}
