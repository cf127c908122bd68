package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// spent is what a call's time went into, in seconds. It explains why one policy is slower than another.
type spent struct {
	latency, slowdown float64
	ideal             float64 // what it takes alone at strength 1
	held              float64 // in the balancer, and at servers that refused it
	queued            float64 // at its server, for a worker; starts are in here, or in held
	stretched         float64 // in the function, beyond ideal: a crowd, or a weaker server
	way               float64 // the network
}

func (s spent) String() string {
	return fmt.Sprintf("%.2f s, of which the calls themselves %.2f, held in the balancer %.2f, queued at the server %.2f, slower there by %.2f, on the way %.2f",
		s.latency, s.ideal, s.held, s.queued, s.stretched, s.way)
}

func spentOn(d *dispatch, a answer) spent {
	r := d.run
	whole := d.member.server.loop.now - d.sent
	return spent{
		ideal: r.ideal().Seconds(), held: (d.sent - r.at).Seconds(), queued: (a.inside - a.took).Seconds(),
		stretched: (a.took - r.ideal()).Seconds(), way: (whole - a.inside).Seconds(),
	}
}

// worstOf is the mean of the hundredth that has most of something.
func worstOf(all []spent, of func(spent) float64) spent {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b spent) int { return cmp.Compare(of(b), of(a)) })
	return meanSpent(all[:(len(all)+99)/100])
}

func meanSpent(all []spent) (m spent) {
	share := 1 / float64(max(1, len(all)))
	for _, s := range all {
		m.latency += share * s.latency
		m.slowdown += share * s.slowdown
		m.ideal += share * s.ideal
		m.held += share * s.held
		m.queued += share * s.queued
		m.stretched += share * s.stretched
		m.way += share * s.way
	}
	return m
}

// printWhy tells what the time of the worst calls went into.
func (s *study) printWhy(w io.Writer) {
	for i, m := range s.makers {
		for _, x := range []struct {
			what string
			of   func(result) spent
		}{{"slowdown", func(r result) spent { return r.worst }}, {"latency", func(r result) spent { return r.slowest }}} {
			fmt.Fprintf(w, "\n%s: the hundredth with the greatest %s, means in seconds\n", m.name, x.what)
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(t, "\tlatency\tideal\theld\tqueued\tstretched\tway\tslowdown\t")
			for k, c := range s.cells[i] {
				sum := meanSpent(each(c, x.of))
				fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\t\n", s.policies[k].name,
					sum.latency, sum.ideal, sum.held, sum.queued, sum.stretched, sum.way, sum.slowdown)
			}
			t.Flush()
		}
	}
}
