package docker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for an event before it fails. It is no measure of speed.
const patience = 2 * time.Minute

// A daemon is a Docker engine of the tests' own.
type daemon struct {
	dir   string // for its data, its socket and its log
	cmd   *exec.Cmd
	ended chan error
}

// theEngine is the one that the tests use; nil: none was asked for.
var theEngine *daemon

// withEngine runs tests with an engine of their own, whose data are in dir.
func withEngine(dir string, tests func() int) (code int, err error) {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("setting loopback up: %w: %s", err, out)
	}
	os.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "socket"))
	os.Setenv("DOCKER_CONFIG", dir)
	theEngine = &daemon{dir: dir}
	if err := theEngine.start(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, removeContainers(), theEngine.stop(syscall.SIGTERM)) }()
	return tests(), nil
}

// start starts dockerd, and awaits it. Its containers are in the control group called after its directory.
func (d *daemon) start() error {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command("dockerd", "--host", os.Getenv("DOCKER_HOST"), "--data-root", filepath.Join(d.dir, "data"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"), "--cgroup-parent", "/"+filepath.Base(d.dir))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("starting dockerd: %w; `scripts/setup docker` installs it", err)
	}
	ended, cmd := make(chan error, 1), d.cmd
	d.ended = ended
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command("docker", "version").Run() == nil {
			return nil
		}
		select {
		case err := <-d.ended:
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("dockerd ended: %w\n%s", err, said)
		default:
		}
		if time.Now().After(deadline) {
			d.cmd.Process.Kill()
			<-d.ended
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("dockerd does not answer\n%s", said)
		}
	}
}

// stop ends dockerd by a signal.
func (d *daemon) stop(signal syscall.Signal) error {
	d.cmd.Process.Signal(signal)
	select {
	case <-d.ended:
		return nil
	case <-time.After(patience):
		d.cmd.Process.Kill()
		return errors.Join(errors.New("dockerd did not end after a signal"), <-d.ended)
	}
}

// removeContainers removes all containers, so that nothing is mounted any more.
func removeContainers() error {
	out, err := exec.Command("docker", "ps", "--all", "--quiet").Output()
	if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
		out, err = exec.Command("docker", append([]string{"rm", "--force", "--volumes"}, ids...)...).CombinedOutput()
	}
	if err != nil {
		return fmt.Errorf("removing the containers: %w: %s", err, out)
	}
	return nil
}

// removeNetwork removes a network that no container is in any more.
func removeNetwork(name string) { exec.Command("docker", "network", "rm", name).Run() }

// docker runs a command of the client, and returns what it printed on stdout.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// eventually waits until ok returns true; what says what was waited for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
