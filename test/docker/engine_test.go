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

// withEngine runs tests with an engine of their own, whose data are in dir.
func withEngine(dir string, tests func() int) (code int, err error) {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("setting loopback up: %w: %s", err, out)
	}
	os.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "socket"))
	os.Setenv("DOCKER_CONFIG", dir)
	stop, err := startEngine(dir, filepath.Base(dir))
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return tests(), nil
}

// startEngine starts dockerd with its data in dir, and awaits it. Its containers are in the control group called group.
func startEngine(dir, group string) (stop func() error, err error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "--host", os.Getenv("DOCKER_HOST"), "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "--cgroup-parent", "/"+group)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting dockerd: %w; `scripts/setup docker` installs it", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command("docker", "version").Run() == nil {
			return func() error { return stopEngine(cmd, ended) }, nil
		}
		select {
		case err := <-ended:
			said, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("dockerd ended: %w\n%s", err, said)
		default:
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			<-ended
			said, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("dockerd does not answer\n%s", said)
		}
	}
}

// stopEngine removes all containers, so that nothing is mounted any more, and ends dockerd.
func stopEngine(cmd *exec.Cmd, ended <-chan error) error {
	out, err := exec.Command("docker", "ps", "--all", "--quiet").Output()
	if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
		out, err = exec.Command("docker", append([]string{"rm", "--force", "--volumes"}, ids...)...).CombinedOutput()
	}
	if err != nil {
		err = fmt.Errorf("removing the containers: %w: %s", err, out)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		cmd.Process.Kill()
		err = errors.Join(err, errors.New("dockerd did not end after SIGTERM"), <-ended)
	}
	return err
}

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
