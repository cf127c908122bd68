package strength

import (
	"math"
	"time"
)

// The reference of one CPU, which needs so long for one piece of each kind, in nanoseconds. That
// is about what TestReference prints on a virtual CPU of an AMD EPYC (family 23, model 1) in
// a cloud.
const (
	referenceWhole  = 250e3
	referenceFloat  = 275e3
	referenceMemory = 95e3
)

// CPU measures one CPU, in less than 100 ms. The pieces are short, and the best of many counts:
// so it hardly matters what else the machine does meanwhile.
func CPU() float64 { return measure(time.Now, cpuLimit).strength() }

const (
	// cpuLimit is how long pieces are measured.
	cpuLimit = 60 * time.Millisecond
	// leastPieces is how many are measured of each kind even where that takes longer.
	leastPieces = 3
)

// pieces are the shortest times of each kind of work.
type pieces struct{ whole, float, memory time.Duration }

// strength is the geometric mean of the three.
func (p pieces) strength() float64 {
	return math.Cbrt(referenceWhole / float64(p.whole) * (referenceFloat / float64(p.float)) * (referenceMemory / float64(p.memory)))
}

func measure(now func() time.Time, limit time.Duration) pieces {
	table := newMaze()
	best := pieces{math.MaxInt64, math.MaxInt64, math.MaxInt64}
	var sink uint64 // so that no compiler leaves the work out
	began := now()
	for n := 0; n < leastPieces || now().Sub(began) < limit; n++ {
		t := now()
		sink += wholeNumbers(uint64(n))
		t1 := now()
		sink += uint64(table.walk(uint32(n))) // so that it is in the cache
		t2 := now()
		sink += uint64(floats(float64(n & 7)))
		t3 := now()
		sink += uint64(table.walk(uint32(n)))
		t4 := now()
		best = pieces{min(best.whole, t1.Sub(t)), min(best.float, t3.Sub(t2)), min(best.memory, t4.Sub(t3))}
	}
	if sink == 0 { // possible, but as good as never
		best.whole++
	}
	return best
}

// wholeNumbers is the generator xorshift64* (Vigna, 2016): shifts and a multiplication, each
// of which waits for the one before.
func wholeNumbers(seed uint64) uint64 {
	x, sum := seed|1, uint64(0)
	for range 100_000 {
		x ^= x >> 12
		x ^= x << 25
		x ^= x >> 27
		sum += x * 0x2545F4914F6CDD1D
	}
	return sum
}

// floats has four chains of multiplications and additions beside each other.
func floats(seed float64) float64 {
	a, b, c, d := seed, seed+1, seed+2, seed+3
	for range 100_000 {
		a = a*0.999 + 0.5
		b = b*0.998 + 0.5
		c = c*0.997 + 0.5
		d = d*0.996 + 0.5
	}
	return a + b + c + d
}

// A maze is a table whose entries name each other in one long circle without any order:
// each step waits for the one before, and for the second level's cache.
type maze []uint32

// mazeSize is in entries of 4 bytes: 256 KB, more than a CPU's first cache holds. What is
// beyond the second cache is shared with others, so that it would tell more of what they do
// than of the machine.
const mazeSize = 1 << 16

// newMaze makes one circle of all entries (Sattolo, 1986), the same one each time.
func newMaze() maze {
	m := make(maze, mazeSize)
	for i := range m {
		m[i] = uint32(i)
	}
	x := uint64(88172645463325252)
	for i := len(m) - 1; i > 0; i-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		j := int(x % uint64(i))
		m[i], m[j] = m[j], m[i]
	}
	return m
}

func (m maze) walk(from uint32) uint32 {
	at := from % mazeSize
	for range 20_000 {
		at = m[at]
	}
	return at
}
