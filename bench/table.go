package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// print prints one table for each number of connections.
func (l *lab) print(w io.Writer) {
	var floor *setup
	for _, s := range l.setups {
		if s.name == forwarderName {
			floor = s
		}
	}
	for _, n := range l.connections {
		fmt.Fprintf(w, "\n%d %s, medians of %d repeats of %v\n", n, plural(n, "connection"), l.repeats, l.window)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "\treq/s\t± %\tp50 ms\tp99 ms\tto forwarder\tCPU us/req\tof it load\tof it balancer\tCPU to forwarder\t")
		for _, s := range l.setups {
			printRow(t, s, floor, n)
		}
		t.Flush()
		l.printOverhead(w, n)
	}
}

// printOverhead prints what the platform takes of an answer's time: what its median is above
// that of the same function in a runtime that is asked directly.
func (l *lab) printOverhead(w io.Writer, n int) {
	p50 := func(m measurement) float64 { return millis(m.p50) }
	var rest, direct []float64
	for _, s := range l.setups {
		switch s.name {
		case platformName:
			rest = collect(s.results[n], p50)
		case localName:
			direct = collect(s.results[n], p50)
		}
	}
	if len(rest) > 0 && len(direct) > 0 {
		fmt.Fprintf(w, "%s: the median is %.2f ms above that of %s\n", platformName, median(rest)-median(direct), localName)
	}
}

func printRow(w io.Writer, s, floor *setup, n int) {
	ms := s.results[n]
	speed := collect(ms, func(m measurement) float64 { return m.perSecond })
	cpu := collect(ms, func(m measurement) float64 { return m.cpu })
	speedRatio, cpuRatio := "-", "-"
	if floor != nil {
		other := floor.results[n]
		speedRatio = fmt.Sprintf("%.2f", median(ratios(speed, collect(other, func(m measurement) float64 { return m.perSecond }))))
		cpuRatio = fmt.Sprintf("%.2f", median(ratios(cpu, collect(other, func(m measurement) float64 { return m.cpu }))))
	}
	fmt.Fprintf(w, "%-30s\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%.0f\t%.0f\t%s\t%s\t\n", s.name, median(speed), spread(speed),
		median(collect(ms, func(m measurement) float64 { return millis(m.p50) })),
		median(collect(ms, func(m measurement) float64 { return millis(m.p99) })),
		speedRatio, median(cpu), median(collect(ms, func(m measurement) float64 { return m.own })), balancerShare(ms), cpuRatio)
}

// balancerShare is the CPU of the balancer's process for one request.
func balancerShare(ms []measurement) string {
	share := median(collect(ms, func(m measurement) float64 { return m.balancer }))
	if share == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", share)
}

func collect(ms []measurement, f func(measurement) float64) []float64 {
	out := make([]float64, len(ms))
	for i, m := range ms {
		out[i] = f(m)
	}
	return out
}

// ratios compares what was measured in the same repeat, so that a slow moment
// of the machine counts for both.
func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

// median returns the middle one, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread returns how far the values are from their median at most, in percent of it.
func spread(values []float64) float64 {
	m := median(values)
	var most float64
	for _, v := range values {
		most = max(most, v-m, m-v)
	}
	if m == 0 {
		return 0
	}
	return 100 * most / m
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// printMemory prints the resident memory of each process, as it is after the load.
func (l *lab) printMemory(w io.Writer) error {
	all, err := processes()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nResident memory after the load, MB\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range l.setups {
		fmt.Fprintf(t, "%s\t%s\n", s.name, memoryOf(s, all))
	}
	return t.Flush()
}

// memoryOf lists a setup's processes: those we started by their names, their
// descendants by what they run.
func memoryOf(s *setup, all snapshot) string {
	ours := map[int]string{}
	for _, p := range s.roots {
		ours[p.cmd.Process.Pid] = p.name
	}
	sizes := map[string][]int64{}
	for _, p := range all.tree(s.roots) {
		name, ok := ours[p.pid]
		if !ok {
			name = "child " + p.program()
		}
		sizes[name] = append(sizes[name], p.rss>>20)
	}
	var parts []string
	for name, each := range sizes {
		parts = append(parts, name+" "+inWords(each))
	}
	slices.SortFunc(parts, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "child "), strings.Count(b, "child ")), strings.Compare(a, b))
	})
	return strings.Join(parts, ", ")
}

// inWords lists few sizes, and sums up many.
func inWords(sizes []int64) string {
	slices.Sort(sizes)
	if len(sizes) > 3 {
		return fmt.Sprintf("%d times %d to %d", len(sizes), sizes[0], sizes[len(sizes)-1])
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", " + "), "[]")
}
