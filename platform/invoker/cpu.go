package invoker

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// crowdedAbove is the share of the machine's CPU time in use above which a further
// container takes it from those that are there.
const crowdedAbove = 0.85

// sampleEvery is the shortest time over which the use is measured.
const sampleEvery = 100 * time.Millisecond

// A cpuWatch knows whether this machine's CPUs are busy. Where that is not told
// (it needs /proc/stat), they never are.
type cpuWatch struct {
	at         time.Time
	used, idle uint64 // ticks until then
	crowded    bool
}

// look returns whether the CPUs were busy lately.
func (c *cpuWatch) look(now time.Time) bool {
	if now.Sub(c.at) < sampleEvery {
		return c.crowded
	}
	stat, _ := os.ReadFile("/proc/stat")
	used, idle := cpuTicks(stat)
	if total := used + idle - c.used - c.idle; total > 0 && !c.at.IsZero() {
		c.crowded = float64(used-c.used) > crowdedAbove*float64(total)
	}
	c.at, c.used, c.idle = now, used, idle
	return c.crowded
}

// cpuTicks reads the first line of /proc/stat: "cpu user nice system idle iowait …".
func cpuTicks(stat []byte) (used, idle uint64) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	for i := 1; i < min(len(fields), 9); i++ { // guests' time is in user's already
		n, err := strconv.ParseUint(string(fields[i]), 10, 64)
		if err != nil {
			return 0, 0
		}
		if i == 4 || i == 5 {
			idle += n
		} else {
			used += n
		}
	}
	return used, idle
}
