package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// measure goes through all cases, the ways side by side, and prints a line for each.
func measure(ctx context.Context, o options) error {
	t := tabwriter.NewWriter(os.Stdout, 9, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d in flight, %v each, TCP %s\n", o.inFlight, o.window, o.congestion)
	fmt.Fprintln(t, "RTT ms\tloss %\tmix\tway\truns/s\tp50 ms\tp99 ms\t1 MB/s\tp50 ms\tlogs/s\tp50 ms\tfailed\tresent\tCPU us: balancer\tserver\t")
	for _, rtt := range o.rtts {
		for _, loss := range o.losses {
			for _, mix := range o.mixes {
				for _, way := range o.ways {
					c := &aCase{options: o, rtt: rtt, loss: loss, mix: mix, way: way}
					if err := c.run(ctx); err != nil {
						return fmt.Errorf("%s, RTT %v ms, loss %v %%: %w", way, rtt, loss, err)
					}
					c.print(t)
				}
			}
			t.Flush()
		}
	}
	return nil
}

// aCase is one measurement.
type aCase struct {
	options
	rtt, loss float64
	mix, way  string

	seen loaded
	cpu  [2]time.Duration // of the balancer's process and of the server's
}

func (c *aCase) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.warmup+c.window+time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "whiskaway-bench-home-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if _, err := openKeys(dir); err != nil { // made once, for both ends
		return err
	}
	e := end{dir: dir, way: c.way, mix: c.mix, congestion: c.congestion, inFlight: c.inFlight, window: c.window, warmup: c.warmup}
	balancer, err := startEnd(ctx, "balancer", e)
	if err != nil {
		return err
	}
	defer balancer.stop()
	server, err := startEnd(ctx, "server", e)
	if err != nil {
		return err
	}
	defer server.stop()
	l := &link{delay: time.Duration(c.rtt / 2 * float64(time.Millisecond)), loss: c.loss / 100, a: balancer.tun, b: server.tun}
	l.start()
	defer l.close()
	return c.follow(balancer, server)
}

// follow lets both ends begin, and listens to the balancer's.
func (c *aCase) follow(balancer, server *endProcess) error {
	if _, err := balancer.in.Write([]byte("go\n")); err != nil {
		return fmt.Errorf("starting the balancer's end: %w", err)
	}
	var before [2]time.Duration
	for balancer.out.Scan() {
		var err error
		switch text := balancer.out.Text(); text {
		case "listening":
			_, err = server.in.Write([]byte("go\n"))
		case "begin":
			before, err = cpuOf(balancer, server)
		case "end":
			c.cpu, err = cpuOf(balancer, server)
		default:
			c.cpu = [2]time.Duration{c.cpu[0] - before[0], c.cpu[1] - before[1]}
			return json.Unmarshal([]byte(text), &c.seen)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the balancer's end ended early")
}

func (c *aCase) print(w io.Writer) {
	perSecond := func(s shape) float64 { return float64(c.seen.Runs[s]) / c.window.Seconds() }
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	most, all := small, 0
	for _, n := range c.seen.Runs {
		all += n
	}
	if c.mix == "slow" {
		most = slow
	}
	fmt.Fprintf(w, "%v\t%v\t%s\t%s\t%.0f\t%.1f\t%.1f\t", c.rtt, c.loss, c.mix, c.way, perSecond(most), ms(c.seen.P50[most]), ms(c.seen.P99[most]))
	for _, s := range []shape{large, logs} {
		if c.mix == "mixed" {
			fmt.Fprintf(w, "%.1f\t%.0f\t", perSecond(s), ms(c.seen.P50[s]))
		} else {
			fmt.Fprint(w, "-\t-\t")
		}
	}
	fmt.Fprintf(w, "%d\t%d\t%d\t%d\t\n", c.seen.Failed, c.seen.Resent, perRun(c.cpu[0], all), perRun(c.cpu[1], all))
	if c.seen.Failed > 0 {
		fmt.Fprintf(os.Stderr, "%s: %s\n", c.way, c.seen.Why)
	}
}

func perRun(cpu time.Duration, runs int) int64 { return cpu.Microseconds() / int64(max(1, runs)) }

// An endProcess is one end, with its device.
type endProcess struct {
	cmd *exec.Cmd
	tun *os.File
	in  io.WriteCloser
	out *bufio.Scanner
}

func startEnd(ctx context.Context, role string, e end) (*endProcess, error) {
	cmd, err := again(ctx, role, e.args()...)
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s's end: %w", role, err)
	}
	p := &endProcess{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if p.tun, err = openTUN(device); err == nil {
		err = giveTo(device, cmd.Process.Pid)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// stop kills it: what it had to tell it has told, and a goodbye would not pass a link that
// loses packets.
func (p *endProcess) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait() // it was killed
}

// cpuOf returns the CPU time that processes have used.
func cpuOf(balancer, server *endProcess) (all [2]time.Duration, err error) {
	for i, p := range []*endProcess{balancer, server} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return all, fmt.Errorf("reading the CPU time: %w", err)
		}
		// utime and stime are fields 14 and 15, in ticks of 10 ms; the second field's
		// parentheses may hold anything (man 5 proc).
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[14-3 : 16-3] {
			ticks, _ := strconv.ParseInt(field, 10, 64)
			all[i] += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return all, nil
}
