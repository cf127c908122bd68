package test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A client killed in the middle of its runs: they are cancelled, its lease ends
// after its time, and the function goes; a new client works.
func TestAlwaysTrue5ClientKilledDuringRuns(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "100ms")
		for range rounds(1, 50) {
			before := len(s.notes("cut"))
			started := len(s.notes("ran"))
			c := s.client("f", many, "WHISKAWAY_LEASE=1s")
			ended := c.atOnce(16, `{"wait":"never"}`, 0)
			s.started(started + 16)
			c.gone = true
			c.kill()
			ended()
			eventually(t, "the function notices for each of its runs", func() bool { return len(s.notes("cut")) == before+16 })
			eventually(t, "the function goes", func() bool { return len(s.functionDirs()) == 0 && len(s.status().Functions) == 0 })
			s.audit(c)
		}
		c := s.client("f", many)
		c.mustRun()
		s.audit(c)
	})
}

// A client that is told to stop, twice: it takes no connection any more, ends
// its runs, and gives back its lease, which would live for another hour.
func TestAlwaysTrue5ClientToldToStopDuringRuns(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "1h")
		other := s.client("other", many, "WHISKAWAY_LEASE=1h")
		c := s.client("f", many, "WHISKAWAY_LEASE=1h")
		ended := c.atOnce(16, `{"wait":"go"}`, 0)
		s.started(16)
		eventually(t, "both leases are told", func() bool { return s.leases() == 2 })
		c.cmd.Process.Signal(syscall.SIGTERM)
		eventually(t, "it takes no connection", func() bool {
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		c.cmd.Process.Signal(syscall.SIGTERM)
		s.let("go")
		for _, a := range ended() {
			if !a.ok(t) {
				t.Errorf("told to stop: %v", a)
			}
		}
		<-c.ended
		if code := c.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("it ended with the status %d", code)
		}
		eventually(t, "only the other client's lease is left", func() bool { return s.leases() == 1 })
		other.mustRun()
		s.audit(c, other)
	})
}

// kubernetesGrace is when Kubernetes kills a container that was told to stop.
const kubernetesGrace = 30 * time.Second

// A client that is told to stop while its host hangs still ends in time.
func TestClientToldToStopWhileItsHostHangs(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		c.mustRun()
		host := s.balancer
		if direct {
			host = s.servers[0]
		}
		must(t, func() error { return host.cmd.Process.Signal(syscall.SIGSTOP) })
		defer host.cmd.Process.Signal(syscall.SIGCONT)
		endsInTime(t, c)
	})
}

func endsInTime(t *testing.T, c *client) {
	t.Helper()
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(kubernetesGrace):
		t.Error("it did not end in time")
	}
}

// Runs that do not end within the grace are answered, with words, and cancelled.
func TestAlwaysTrue5ClientToldToStopCancelsLongRuns(t *testing.T) {
	if !slow() {
		t.Skip("takes the grace of 13 s; set WHISKAWAY_SLOW=1")
	}
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		ended := c.atOnce(16, `{"wait":"never"}`, 0)
		s.started(16)
		endsInTime(t, c)
		for _, a := range ended() {
			if a.status != 502 || !strings.Contains(a.body, "told to stop") {
				t.Error(a)
			}
		}
		eventually(t, "the function notices", func() bool { return len(s.notes("cut")) == 16 })
		s.audit(c)
	})
}

// Nobody reads the client's logs, so that its run hangs: it ends all the same,
// and gives its lease back.
func TestClientToldToStopWhileNobodyReadsItsLogs(t *testing.T) {
	if !slow() {
		t.Skip("takes the grace of 13 s; set WHISKAWAY_SLOW=1")
	}
	t.Parallel()
	s := newStage(t, true, 1)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // after the client's end
	addressR, addressW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer addressR.Close()
	cmd := exec.Command(binary, "runtime", "--listen", "127.0.0.1:0")
	cmd.Env = append(cleanEnv(t), "WHISKAWAY_READY_FD=3", "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+s.via(s.front),
		"WHISKAWAY_TOKEN="+s.token, "WHISKAWAY_LEASE=1h", "TMPDIR="+t.TempDir())
	cmd.Stdout, cmd.ExtraFiles = w, []*os.File{addressW}
	must(t, cmd.Start)
	defer cmd.Process.Kill()
	w.Close()
	addressW.Close()
	line := make([]byte, 64)
	n, err := addressR.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	c := &container{process: s.servers[0], url: "http://" + strings.TrimSpace(string(line[:n])), http: http.DefaultClient}
	if status, body := c.post("/init", initBody("main@box", "def main(args):\n    print('x' * 1000000)\n    return {}\n", nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, body)
	}
	go func() { // ends with the client
		if resp, err := http.Post(c.url+"/run", "application/json", strings.NewReader(runBody(`{}`, "id", time.Now().Add(time.Minute)))); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the run hangs", func() bool { return s.running() > 0 || s.status().Functions[0].Runs > 0 })
	cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(kubernetesGrace):
		t.Error("it did not end in time")
	}
	eventually(t, "the lease ends", func() bool { return s.leases() == 0 })
}
