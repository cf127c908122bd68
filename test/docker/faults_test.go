package docker

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/invoker"
	driver "github.com/whiskaway/whiskaway/platform/invoker/docker"
)

const sleepCode = "import time\ndef main(a):\n    print('begun')\n    time.sleep(a.get('seconds', 0))\n    return {'slept': True}\n"

// Killed with -9, a platform leaves containers. Those of our own runtime end by themselves, all are removed at
// the next start, and nobody else's is touched.
func TestPlatformKilledLeavesNothingToStay(t *testing.T) {
	buildServer(t)
	dir := t.TempDir()
	others := []*container{
		start(t, "base", nil, "sleep", "1000"),
		start(t, "base", []string{"--label", "whiskaway.platform=another"}, "sleep", "1000"),
	}
	p := startPlatform(t, dir)
	p.put("own", exe{Kind: "python:3", Code: sleepCode}, "")
	p.put("foreign", exe{Kind: "blackbox", Image: imageName("server")}, "")
	p.result("own", "{}")
	p.result("foreign", "{}")
	p.Kill()
	eventually(t, "our runtime's end", func() bool { return len(p.ours("{{.ID}}", "status=exited")) == 1 })
	if left := p.ours("{{.Image}}", "status=running"); len(left) != 1 || left[0] != imageName("server") {
		t.Errorf("running after kill -9: %v", left)
	}
	docker(t, "pause", p.ours("{{.ID}}", "status=running")[0])

	again := startPlatform(t, dir)
	if left := again.ours("{{.Names}}"); len(left) > 0 {
		t.Errorf("left after the next start: %v", left)
	}
	for _, other := range others {
		if state := other.state(); state != "running" {
			t.Errorf("somebody else's container is %s", state)
		}
	}
	again.result("own", "{}")
}

// SIGTERM lets a run end, whose record is there at the next start, and leaves no container.
func TestPlatformStopsWell(t *testing.T) {
	dir := t.TempDir()
	p := startPlatform(t, dir)
	p.put("own", exe{Kind: "python:3", Code: sleepCode}, "")
	p.result("own", "{}")
	id := p.begin("own", `{"seconds": 2}`)
	p.Stop()
	if left := p.ours("{{.Names}}"); len(left) > 0 {
		t.Errorf("SIGTERM left %v", left)
	}
	again := startPlatform(t, dir)
	if a := again.record(id); !a.Response.Success {
		t.Errorf("the run under way came to %s", a.Response.Result)
	}
}

// The engine ends under a run, is away, and comes back: by SIGTERM, which ends its containers, and by
// SIGKILL, which lets them run on.
func TestPlatformWhileTheEngineRestarts(t *testing.T) {
	needImages(t)
	for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			p := startPlatform(t, t.TempDir())
			p.put("own", exe{Kind: "python:3", Code: sleepCode}, "")
			p.result("own", "{}")
			id := p.begin("own", `{"seconds": 3}`)
			if err := theEngine.stop(signal); err != nil {
				t.Fatal(err)
			}
			restarted := false
			defer func() {
				if !restarted {
					theEngine.start()
				}
			}()
			// The run may have ended well in a container that lived on, or was lost with it: it is told in any case.
			t.Logf("the run under way: %s", p.record(id).Response.Result)
			began := time.Now()
			p.fails("own", "{}", 3, "cannot be reached")
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("without an engine it took %s to say so", took)
			}
			if err := theEngine.start(); err != nil {
				t.Fatal(err)
			}
			restarted = true
			eventually(t, "a run after the engine's return", func() bool { return p.invoke("own", "{}").Response.Success })
			eventually(t, "what nobody knows is removed", func() bool { return len(p.ours("{{.ID}}")) == 1 })
		})
	}
}

func TestPlatformWithoutAnEngine(t *testing.T) {
	needImages(t)
	for want, flags := range map[string][]string{
		"cannot be reached":                  {"--docker-host", "unix:///nowhere/docker.sock"},
		"is not like unix://":                {"--docker-host", "/var/run/docker.sock"},
		"has no network \"nothing\"":         {"--docker-network", "nothing"},
		"have no address of their own":       {"--docker-network", "host"},
		"--image python: it is a kind":       {"--image", "python"},
		"--runtimes: open /nowhere":          {"--runtimes", "/nowhere"},
		"--pull: \"sometimes\" is not a":     {"--pull", "sometimes"},
		"--docker-pids 0: it is a number":    {"--docker-pids", "0"},
		"--docker-cpus -1: it is a number":   {"--docker-cpus", "-1"},
		"--driver lxc: it is process or doc": {"--driver", "lxc"},
		"--pull is for containers":           {"--driver", "process", "--pull", "never", "--image", "a=b"},
	} {
		p := launch(t, t.TempDir(), flags...)
		<-p.Ended
		if said := p.Stderr.String(); p.Cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, want) {
			t.Errorf("%v: exit status %d, %s", flags, p.Cmd.ProcessState.ExitCode(), said)
		}
	}
}

// The driver by itself: a paused container takes nothing, one that is resumed does, and a paused one can be killed.
func TestDriverPausesAndKills(t *testing.T) {
	needImages(t)
	ctx := t.Context()
	engine, err := driver.Connect(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	d, err := driver.Open(ctx, engine, driver.Config{Platform: filepath.Base(t.TempDir()) + t.Name(), Images: map[string]string{"python:3": imageName("whiskaway-python")}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	c, err := d.Start(ctx, invoker.Spec{Name: "paused", Kind: "python:3", Memory: 128})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := c.Logs()
	go io.Copy(io.Discard, stderr)
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(stdout)
		said <- string(b)
	}()
	ask := func(limit time.Duration) error {
		resp, err := (&http.Client{Timeout: limit}).Post("http://"+c.Addr()+"/run", "application/json", strings.NewReader(`{"value":{}}`))
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	eventually(t, "it listens", func() bool { return ask(patience) == nil })
	if err := c.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	if state := docker(t, "inspect", "--format", "{{.State.Status}}", "paused-"+nameSuffix(t, "paused-")); state != "paused" {
		t.Errorf("after Pause it is %s", state)
	}
	if ask(300*time.Millisecond) == nil {
		t.Error("a paused container answers")
	}
	if err := c.Pause(ctx); err == nil {
		t.Error("Pause of a paused one is no error")
	}
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if err := ask(patience); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	if err := c.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(ctx); err != nil {
		t.Errorf("killing a paused one: %v", err)
	}
	<-c.Done()
	if text := <-said; !strings.Contains(text, guard) {
		t.Errorf("it printed %q", text)
	}
	if err := c.Kill(ctx); err != nil {
		t.Errorf("killing it again: %v", err)
	}
}

// nameSuffix is what the driver has put behind a container's name.
func nameSuffix(t *testing.T, prefix string) string {
	t.Helper()
	var listed struct{ Names string }
	if err := json.Unmarshal([]byte(docker(t, "ps", "--all", "--format", "{{json .}}", "--filter", "name="+prefix)), &listed); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(listed.Names, prefix)
}
