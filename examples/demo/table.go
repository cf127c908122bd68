package main

import (
	"fmt"
	"strings"
)

// stations are the table's columns: those of a call from the outermost to the
// innermost, and "start", which is what the invoker waited for until the function
// was ready on its machine. A function that runs in the platform passes no balancer.
var stations = []string{"controller", "invoker", "start", "runtime", "balancer", "server", "function"}

// A row is one call in the table of where the time went.
type row struct {
	name    string
	journey journey
}

// own returns what each station took for itself, in milliseconds: its value
// minus that of the next one which the call passed. The start comes before the
// run, so it counts beside what lies behind. Stations that the call did not pass are missing. The total is the outermost station's value.
func own(j journey) (shares map[string]float64, total float64) {
	shares = map[string]float64{}
	behind := 0.0
	for i := len(stations) - 1; i >= 0; i-- {
		if stations[i] == "start" && j.Start > 0 {
			shares["start"] = j.Start
			behind += j.Start
		} else if value, ok := j.Stations[stations[i]]; ok {
			shares[stations[i]] = value - behind
			behind = value
		}
	}
	return shares, behind
}

// table lays out the calls: a row each, the stations' own shares, the total.
func table(rows []row) string {
	cells := [][]string{append(append([]string{"call", ""}, stations...), "total")}
	for _, r := range rows {
		shares, total := own(r.journey)
		line := []string{r.name, temperature(r.journey.Cold)}
		for _, station := range stations {
			share, ok := shares[station]
			line = append(line, milliseconds(share, ok))
		}
		cells = append(cells, append(line, milliseconds(total, true)))
	}
	return align(cells, 2)
}

func temperature(cold bool) string {
	if cold {
		return "cold"
	}
	return "warm"
}

func milliseconds(ms float64, known bool) string {
	if !known {
		return "-"
	}
	if ms > -0.05 && ms < 0 {
		ms = 0 // not "-0.0"
	}
	return fmt.Sprintf("%.1f", ms)
}

// took says how long something took, in the unit that fits.
func took(ms float64) string {
	if ms < 1000 {
		return milliseconds(ms, true) + " ms"
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// align pads the cells so that columns stand below each other: the first ones,
// which are words, to the left, all others to the right.
func align(lines [][]string, words int) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			if i < words {
				cell = fmt.Sprintf("%-*s", widths[i], cell)
			}
			line[i] = fmt.Sprintf("%*s", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
	}
	return b.String()
}
