package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// A study is all simulations: of each trace, with each policy and seed.
type study struct {
	options
	makers   []maker
	policies []contender
	cells    [][]cell // by trace, by policy
}

// A cell is one policy's results on one trace, by seed.
type cell []result

func newStudy(o options) (*study, error) {
	s := &study{options: o}
	var err error
	if s.makers, err = chosen(makers, o.only, func(m maker) string { return m.name }); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	if s.policies, err = chosen(contenders(), o.against, func(c contender) string { return c.name }); err != nil {
		return nil, fmt.Errorf("-policies: %w", err)
	}
	for range s.makers {
		var row []cell
		for range s.policies {
			row = append(row, make(cell, o.seeds))
		}
		s.cells = append(s.cells, row)
	}
	return s, nil
}

// chosen are the ones that are named in a list with commas; all, if it is empty.
func chosen[T any](all []T, list string, name func(T) string) (some []T, err error) {
	if list == "" {
		return all, nil
	}
	for word := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == word })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of them; see -h", word)
		}
		some = append(some, all[i])
	}
	return some, nil
}

// run does the simulations, several at a time. Each has its own trace and state, so that
// the order in which they end means nothing.
func (s *study) run(workers int, progress io.Writer) {
	jobs := make(chan func())
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for do := range jobs {
				do()
			}
		})
	}
	for i, m := range s.makers {
		fmt.Fprintf(progress, "sim: %s\n", m.name)
		for k, c := range s.policies {
			for seed := range s.seeds {
				jobs <- func() {
					s.cells[i][k][seed] = newFront(m.trace(s.first+uint64(seed), s.size), c.make).simulate()
				}
			}
		}
	}
	close(jobs)
	wg.Wait()
}

// mean is the mean of something over the seeds.
func (c cell) mean(of func(result) float64) float64 {
	sum := 0.0
	for _, r := range c {
		sum += of(r)
	}
	return sum / float64(len(c))
}

// spread is how far the seeds' values lie from their mean at most, in parts of it.
func (c cell) spread(of func(result) float64) float64 {
	m, most := c.mean(of), 0.0
	for _, r := range c {
		most = max(most, of(r)-m, m-of(r))
	}
	if m == 0 {
		return 0
	}
	return most / m
}

// A measure is a column.
type measure struct {
	name   string
	format string
	of     func(result) float64
}

var p99 = measure{"p99 s", "%.3f", func(r result) float64 { return r.p99 }}
var meanLatency = measure{"mean s", "%.3f", func(r result) float64 { return r.mean }}
var slowdown = measure{"slowdown p99", "%.1f", func(r result) float64 { return r.slowdown }}
var coldStarts = measure{"starts", "%.0f", func(r result) float64 { return float64(r.starts) }}
var wasted = measure{"wasted GB·h", "%.2f", func(r result) float64 { return r.wasted }}

var measures = []measure{
	meanLatency,
	{"p50 s", "%.3f", func(r result) float64 { return r.p50 }},
	p99,
	slowdown,
	coldStarts,
	{"lost", "%.1f", func(r result) float64 { return float64(r.lost) }},
	{"late", "%.1f", func(r result) float64 { return float64(r.late) }},
	{"refused", "%.1f", func(r result) float64 { return float64(r.refused) }},
	wasted,
	{"balance", "%.2f", func(r result) float64 { return r.balance }},
}
