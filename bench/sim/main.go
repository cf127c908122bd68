package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	only := flag.String("only", "", "")
	pol := flag.String("policy", "", "")
	size := flag.Float64("size", 1, "")
	seed := flag.Uint64("seed", 1, "")
	flag.Parse()
	for _, m := range makers {
		if *only != "" && m.name != *only {
			continue
		}
		for _, c := range contenders() {
			if *pol != "" && c.name != *pol {
				continue
			}
			t := m.trace(*seed, *size)
			began := time.Now()
			r := newFront(t, c.make).simulate()
			fmt.Printf("%-9s %-16s calls %6d mean %7.3f p50 %6.3f p99 %7.3f slow %7.1f starts %6d lost %4d late %4d refused %5d wasted %6.2f balance %.2f  cpu %v\n", m.name, c.name, r.calls, r.mean, r.p50, r.p99, r.slowdown, r.starts, r.lost, r.late, r.refused, r.wasted, r.balance, time.Since(began).Round(time.Millisecond))
		}
	}
	os.Exit(0)
}
