package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A fleet is 500 hosts and 1,000 functions in a mixed state, as after some busy minutes: five
// classes of host, half of the functions warm somewhere, some starting, some hosts set aside or full.
func fleet(hosts, functions int) (Snapshot, []*Function) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []*Host
	for range hosts {
		h := &Host{Seed: rng.Uint64(), Class: fmt.Sprint("class ", rng.IntN(5)), CPUs: 2 << rng.IntN(6), Strength: 0.5 + rng.Float64(),
			RTT: time.Duration(1+rng.IntN(100)) * time.Millisecond, Load: rng.IntN(20), Starting: rng.IntN(2), Full: rng.IntN(50) == 0,
			Memory: Room{Known: true, Total: 64 << 30, Free: rng.Int64N(8 << 30), Idle: rng.Int64N(8 << 30)}}
		if rng.IntN(50) == 0 {
			for range failuresInRow {
				h.Breaker.Failed(testNow)
			}
		}
		all = append(all, h)
	}
	var fs []*Function
	for range functions {
		f := &Function{Seed: rng.Uint64(), Start: time.Duration(100+rng.IntN(1000)) * time.Millisecond, Need: Need{Memory: 256 << 20}}
		for range 20 {
			f.Ran(all[rng.IntN(hosts)], time.Duration(1+rng.IntN(2000))*time.Millisecond)
		}
		for range rng.IntN(2) * rng.IntN(20) {
			if h := all[rng.IntN(hosts)]; f.At(h) == nil {
				f.Add(&Site{Host: h, State: State(rng.IntN(3)), Present: Prepared, Load: rng.IntN(9), Slots: 8, Began: testNow})
			}
		}
		fs = append(fs, f)
	}
	return SnapshotOf(all), fs
}

// BenchmarkPlace reports the median and the 99th percentile of single calls, clock reading included, and
// the 99th percentile over the functions of each one's fastest call: what Place takes where nothing else
// wants the CPU.
func BenchmarkPlace(b *testing.B) {
	s, fs := fleet(500, 1000)
	warm := slices.DeleteFunc(slices.Clone(fs), func(f *Function) bool {
		return Place(s, f, Request{Waiting: 1}, testNow).Verdict != Run
	})
	cold := slices.DeleteFunc(slices.Clone(fs), func(f *Function) bool { return len(f.Sites) > 0 })
	home := &Function{Seed: 1}
	home.Add(&Site{Host: s.Hosts[0], State: Ready, Slots: 8})
	home.Sites[0].Host.Load, home.Sites[0].Host.Full, home.Sites[0].Host.Breaker = 0, false, Breaker{}
	b.Run("mixed", func(b *testing.B) { benchmark(b, s, fs, Request{Waiting: 20}) })
	b.Run("cold", func(b *testing.B) { benchmark(b, s, cold, Request{Waiting: 20}) })
	b.Run("warm", func(b *testing.B) { benchmark(b, s, warm, Request{Waiting: 1}) })
	b.Run("home", func(b *testing.B) { benchmark(b, s, []*Function{home}, Request{Waiting: 1}) })
}

func benchmark(b *testing.B, s Snapshot, fs []*Function, r Request) {
	b.ReportAllocs()
	took := make([]time.Duration, 0, 1<<20)
	fastest := make([]time.Duration, len(fs))
	i := 0
	for b.Loop() {
		begin := time.Now()
		d := Place(s, fs[i], r, testNow)
		t := time.Since(begin)
		if d.Verdict == NoHost {
			b.Fatal("no host")
		}
		if len(took) < cap(took) {
			took = append(took, t)
		}
		if fastest[i] == 0 || t < fastest[i] {
			fastest[i] = t
		}
		i = (i + 1) % len(fs)
	}
	b.ReportMetric(float64(percentile(took, 50)), "p50-ns")
	b.ReportMetric(float64(percentile(took, 99)), "p99-ns")
	b.ReportMetric(float64(percentile(fastest, 99)), "p99-undisturbed-ns")
}

func percentile(of []time.Duration, p int) time.Duration {
	slices.Sort(of)
	return of[(len(of)-1)*p/100]
}
