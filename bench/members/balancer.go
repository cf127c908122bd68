package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A balancer is the process that is measured.
type balancer struct {
	cmd        *exec.Cmd
	url, pprof string
	dir        string
	drained    chan struct{} // closed when its stdout is read to the end
}

func startBalancer(ctx context.Context, o options, dir string) (*balancer, error) {
	pprof, err := freeAddress()
	if err != nil {
		return nil, err
	}
	b := &balancer{dir: dir, pprof: pprof, drained: make(chan struct{})}
	b.cmd = exec.CommandContext(ctx, o.binary, "balancer", "--listen", o.listen, "--data", dir, "--pprof", pprof, "--log-level", "warn")
	b.cmd.Cancel = func() error { return b.cmd.Process.Signal(syscall.SIGTERM) }
	b.cmd.Stderr = os.Stderr
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the balancer: %w", err)
	}
	lines := bufio.NewScanner(out)
	for b.url == "" && lines.Scan() {
		_, b.url, _ = strings.Cut(lines.Text(), "listening on ")
	}
	go func() { // stop waits for it
		io.Copy(io.Discard, out)
		close(b.drained)
	}()
	if b.url == "" {
		b.stop()
		return nil, fmt.Errorf("the balancer did not say where it listens")
	}
	return b, nil
}

// freeAddress returns an address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (b *balancer) stop() {
	b.cmd.Process.Signal(syscall.SIGTERM)
	<-b.drained
	b.cmd.Wait() // what it had to say is on stderr
}

// token reads the token of a role.
func (b *balancer) token(role string) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.dir, "tokens", role))
	if err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// print waits, and prints what the balancer takes now.
func (b *balancer) print(ctx context.Context, what string, idle time.Duration) error {
	before, err := b.cpu()
	if err != nil {
		return err
	}
	select {
	case <-time.After(idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := b.cpu()
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("reading the memory: %w", err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("counting connections: %w", err)
	}
	goroutines, err := b.ask("/debug/pprof/goroutine?debug=1", `total (\d+)`)
	if err != nil {
		return err
	}
	heap, err := b.ask("/debug/pprof/heap?debug=1", `# HeapAlloc = (\d+)`)
	if err != nil {
		return err
	}
	fmt.Printf("%-22s  %6d  %7d  %10d  %11d  %8.1f\n", what, number(`VmRSS:\s+(\d+)`, status)>>10, heap>>20, goroutines, len(files),
		float64((after-before).Milliseconds())/idle.Seconds())
	return nil
}

// cpu returns utime and stime, fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms (man 5 proc).
func (b *balancer) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[14-3])
	system, _ := strconv.Atoi(fields[15-3])
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// ask returns a number of what the profiler says.
func (b *balancer) ask(path, pattern string) (int, error) {
	resp, err := http.Get("http://" + b.pprof + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("asking the profiler: %w", err)
	}
	return number(pattern, text), nil
}

// number returns the number in the first match, or 0.
func number(pattern string, text []byte) int {
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(found[1])) // digits
	return n
}
