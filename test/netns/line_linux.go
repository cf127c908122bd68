package netns

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Line says how a long line behaves, the same in both directions.
type Line struct {
	Delay time.Duration // one way: a round trip takes twice that
	Loss  float64       // the chance of each packet to be lost, 0 to 1
	Seed  uint64        // of the losses
}

// queued is how many frames may be on their way in one direction. What comes
// beyond is lost, as in a router's queue: 10,000 full frames are 15 MB, so 40 ms of
// them are 3 Gbit/s.
const queued = 10_000

// maxFrame is more than an Ethernet frame has with the usual MTU of 1500.
const maxFrame = 2048

// A line hands on frames between two TAP devices.
type line struct {
	ends [2]*os.File
	wg   sync.WaitGroup
	lost atomic.Int64
}

// A frame is on its way until it is due.
type frame struct {
	data []byte
	due  time.Time
}

// openLine opens both ends and begins to hand on.
func openLine(how Line, a, b func() (*os.File, error)) (*line, error) {
	l := &line{}
	for i, open := range []func() (*os.File, error){a, b} {
		end, err := open()
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.ends[i] = end
	}
	for i := range l.ends {
		random := rand.New(rand.NewPCG(how.Seed, uint64(i)))
		way := make(chan frame, queued)
		l.wg.Go(func() { l.take(l.ends[i], way, how, random) })
		l.wg.Go(func() { give(l.ends[1-i], way) })
	}
	return l, nil
}

// take reads frames, loses some, and notes when the others are due.
func (l *line) take(from *os.File, way chan<- frame, how Line, random *rand.Rand) {
	defer close(way)
	buffer := make([]byte, maxFrame)
	for {
		n, err := from.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil { // the device is down for now
			time.Sleep(time.Millisecond)
			continue
		}
		if random.Float64() < how.Loss {
			l.lost.Add(1)
			continue
		}
		select {
		case way <- frame{append([]byte(nil), buffer[:n]...), time.Now().Add(how.Delay)}:
		default:
			l.lost.Add(1)
		}
	}
}

// give writes the frames when they are due. All have the same delay, so they stay in order.
func give(to *os.File, way <-chan frame) {
	for f := range way {
		time.Sleep(time.Until(f.due))
		to.Write(f.data) // to a device that is down it is lost, as it should be
	}
}

// close ends the line and removes its devices.
func (l *line) close() error {
	var failed []error
	for _, end := range l.ends {
		if end != nil {
			failed = append(failed, end.Close())
		}
	}
	l.wg.Wait()
	return errors.Join(failed...)
}

// Lost returns how many packets the host's line has lost, both ways.
func (h *Host) Lost() int64 {
	if h.line == nil {
		return 0
	}
	return h.line.lost.Load()
}
