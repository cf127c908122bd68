package main

import (
	"fmt"
	"math"
	"strings"
)

// A plot is one measure: a group of bars for each trace, a bar for each policy.
type plot struct {
	file, title string
	traces      []string
	policies    []string
	values      [][]float64 // by trace, by policy
}

func (s *study) plots() (list []plot) {
	for _, x := range []struct {
		file, title string
		measure
	}{
		{"mean.svg", "Mean latency, seconds (logarithmic)", meanLatency},
		{"p99.svg", "99th percentile of latency, seconds (logarithmic)", p99},
		{"starts.svg", "Cold starts: workers started (logarithmic)", coldStarts},
		{"wasted.svg", "Wasted memory: GB·h that no run used (logarithmic)", wasted},
	} {
		p := plot{file: x.file, title: x.title, policies: each(s.policies, func(c contender) string { return c.name })}
		for i, m := range s.makers {
			p.traces = append(p.traces, m.name)
			p.values = append(p.values, each(s.cells[i], func(c cell) float64 { return c.mean(x.of) }))
		}
		list = append(list, p)
	}
	return list
}

func each[T, V any](list []T, of func(T) V) (all []V) {
	for _, t := range list {
		all = append(all, of(t))
	}
	return all
}

// Sizes of a plot in pixels.
const (
	barWidth  = 11
	groupGap  = 18
	plotTop   = 64
	plotTall  = 220
	plotLeft  = 56
	plotRight = 16
)

// colours of the policies: ours stands out. All of them can be told from black and from white.
var colours = []string{"#d9480f", "#868e96", "#4c8bca", "#2b9a66", "#8a63d2", "#b08900", "#c2528b"}

// style makes the text readable on light and on dark pages.
const style = `<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#8886}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>`

func (p plot) svg() string {
	low, high := p.decades()
	group := len(p.policies)*barWidth + groupGap
	width := max(plotLeft+group*len(p.traces)+plotRight, 760)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img"><title>%s</title>%s`+"\n",
		width, plotTop+plotTall+28, width, p.title, style)
	fmt.Fprintf(&b, `<text x="%d" y="18" style="font-weight:bold">%s</text>`+"\n", plotLeft, p.title)
	p.legend(&b)
	for d := low; d <= high; d++ {
		y := height(math.Pow(10, float64(d)), low, high)
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, width-plotRight, y, y, plotLeft-6, y+4, fmt.Sprint(math.Pow(10, float64(d))))
	}
	for i := range p.traces {
		p.group(&b, i, plotLeft+groupGap/2+i*group, low, high)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p plot) legend(b *strings.Builder) {
	x := plotLeft
	for k, name := range p.policies {
		fmt.Fprintf(b, `<rect x="%d" y="32" width="11" height="11" fill="%s"/><text x="%d" y="42">%s</text>`+"\n", x, colours[k%len(colours)], x+15, name)
		x += 28 + 7*len(name)
	}
}

func (p plot) group(b *strings.Builder, i, x int, low, high int) {
	for k, v := range p.values[i] {
		y := height(v, low, high)
		fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="%s"><title>%s, %s: %.4g</title></rect>`+"\n",
			x+k*barWidth, y, barWidth-1, plotTop+plotTall-y, colours[k%len(colours)], p.traces[i], p.policies[k], v)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x+len(p.policies)*barWidth/2, plotTop+plotTall+18, p.traces[i])
}

// decades are the powers of ten between which all values lie.
func (p plot) decades() (low, high int) {
	least, most := math.Inf(1), 0.0
	for _, row := range p.values {
		for _, v := range row {
			if v > 0 {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	if most == 0 {
		return 0, 1
	}
	low = int(math.Floor(math.Log10(least)))
	return low, max(low+1, int(math.Ceil(math.Log10(most))))
}

// height is where a value lies, in pixels from above.
func height(v float64, low, high int) float64 {
	share := 0.0
	if v > 0 {
		share = (math.Log10(v) - float64(low)) / float64(high-low)
	}
	return plotTop + plotTall*(1-max(0, share))
}
