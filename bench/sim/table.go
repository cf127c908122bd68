package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print writes the tables and the verdicts as text.
func (s *study) print(w io.Writer) {
	for i, m := range s.makers {
		fmt.Fprintf(w, "\n%s: %s; %.0f calls, %d seeds\n", m.name, m.about, s.calls(i), s.seeds)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, strings.Join(append([]string{""}, header()...), "\t")+"\t")
		for k := range s.policies {
			fmt.Fprintln(t, strings.Join(s.line(i, k), "\t")+"\t")
		}
		t.Flush()
	}
	if text := s.judgement(p99, "  "); text != "" {
		fmt.Fprintf(w, "\np99 of latency, seconds\n%s\np99 of slowdown\n%s", text, s.judgement(slowdown, "  "))
	}
}

func (s *study) calls(trace int) float64 {
	return s.cells[trace][0].mean(func(r result) float64 { return float64(r.calls) })
}

func header() (names []string) {
	for _, m := range measures {
		names = append(names, m.name)
		if m.name == p99.name {
			names = append(names, "± %")
		}
	}
	return names
}

// line is one policy's line: the means over the seeds, and how far p99 spreads.
func (s *study) line(trace, policy int) []string {
	c := s.cells[trace][policy]
	fields := []string{s.policies[policy].name}
	for _, m := range measures {
		fields = append(fields, fmt.Sprintf(m.format, c.mean(m.of)))
		if m.name == p99.name {
			fields = append(fields, fmt.Sprintf("%.0f", 100*c.spread(m.of)))
		}
	}
	return fields
}
