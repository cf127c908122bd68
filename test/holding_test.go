package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A holding is what a process holds.
type holding struct {
	files, threads, goroutines int
	memory                     int64 // resident, bytes
}

// holds looks at a balancer that has a profiler.
func (p *process) holds(t *testing.T) (h holding) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Skip("this system does not tell what a process holds")
	}
	threads, _ := os.ReadDir(filepath.Join(proc, "task"))
	status, _ := os.ReadFile(filepath.Join(proc, "status"))
	h.files, h.threads = len(files), len(threads)
	if m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status); m != nil {
		kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
		h.memory = kb << 10
	}
	addr := p.cmd.Args[len(p.cmd.Args)-1]
	profiler := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := profiler.Get("http://" + addr + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if _, err := fmt.Sscanf(string(text), "goroutine profile: total %d", &h.goroutines); err != nil {
		t.Fatalf("the profiler said %.100q", text)
	}
	return h
}

// freeAddress is an address of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
