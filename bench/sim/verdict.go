package main

import (
	"fmt"
	"strings"
)

// A verdict compares ours with the best of the others on a trace, in one measure.
type verdict struct {
	trace  string
	ours   float64
	best   float64
	policy string // whose that is
	worse  int    // seeds in which ours is above that policy
	seeds  int
	why    [2]spent // what the slowest hundredth spent its time on: ours, and that policy's
}

// tolerance is how far above the best other counts as the same: less than the calls of one
// function differ in what decides the 99th percentile.
const tolerance = 0.01

// verdicts compare ours on each trace; none without ours or without others.
func (s *study) verdicts(m measure) (list []verdict) {
	if len(s.policies) < 2 || s.policies[0].name != oursName {
		return nil
	}
	for i, row := range s.cells {
		best := 1
		for k := 2; k < len(row); k++ {
			if row[k].mean(m.of) < row[best].mean(m.of) {
				best = k
			}
		}
		v := verdict{trace: s.makers[i].name, ours: row[0].mean(m.of), best: row[best].mean(m.of), policy: s.policies[best].name, seeds: s.seeds}
		v.why = [2]spent{slowestOf(row[0]), slowestOf(row[best])}
		for seed := range s.seeds {
			if m.of(row[0][seed]) > m.of(row[best][seed]) {
				v.worse++
			}
		}
		list = append(list, v)
	}
	return list
}

func slowestOf(c cell) spent { return meanSpent(each(c, func(r result) spent { return r.slowest })) }

// above is how much more ours is, in parts of the best other.
func (v verdict) above() float64 { return v.ours/v.best - 1 }

func (v verdict) String() string {
	switch a := v.above(); {
	case a > tolerance:
		return fmt.Sprintf("%s: OURS IS WORSE by %.1f%%: %.3f, %s %.3f; above it with %d of %d seeds", v.trace, 100*a, v.ours, v.policy, v.best, v.worse, v.seeds)
	case a >= -tolerance:
		return fmt.Sprintf("%s: the same as the best other (%+.1f%%): %.3f, %s %.3f; above it with %d of %d seeds", v.trace, 100*a, v.ours, v.policy, v.best, v.worse, v.seeds)
	default:
		return fmt.Sprintf("%s: ours is better by %.1f%%: %.3f, the best other, %s, %.3f; above it with %d of %d seeds", v.trace, -100*a, v.ours, v.policy, v.best, v.worse, v.seeds)
	}
}

// judgement is what is said of a measure, a line for each trace.
func (s *study) judgement(m measure, bullet string) string {
	var b strings.Builder
	for _, v := range s.verdicts(m) {
		fmt.Fprintf(&b, "%s%s\n", bullet, v)
		if m.name == p99.name && v.above() > tolerance {
			fmt.Fprintf(&b, "%s%s: why: the slowest hundredth with ours: %s; with %s: %s\n", bullet, v.trace, v.why[0], v.policy, v.why[1])
		}
	}
	return b.String()
}
