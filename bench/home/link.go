package main

import (
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// A link passes packets between two devices, each after a delay, and loses some.
type link struct {
	delay time.Duration // one way
	loss  float64       // 0 to 1, each way
	a, b  *os.File
	wg    sync.WaitGroup
}

// A packet is on its way until due.
type packet struct {
	data []byte
	due  time.Time
}

// onTheWay bounds the packets that are on their way; as on a real one, what does not
// fit is lost.
const onTheWay = 100_000

// maxPacket is more than a device's MTU.
const maxPacket = 2048

func (l *link) start() {
	for _, way := range [][2]*os.File{{l.a, l.b}, {l.b, l.a}} {
		packets := make(chan packet, onTheWay)
		l.wg.Go(func() { l.take(way[0], packets) })
		l.wg.Go(func() { deliver(way[1], packets) })
	}
}

// close ends the devices, and waits for what served them.
func (l *link) close() {
	l.a.Close()
	l.b.Close()
	l.wg.Wait()
}

func (l *link) take(from io.Reader, packets chan<- packet) {
	defer close(packets)
	var buf [maxPacket]byte
	for {
		n, err := from.Read(buf[:])
		if err != nil {
			return // the device is closed
		}
		if rand.Float64() < l.loss {
			continue
		}
		select {
		case packets <- packet{append([]byte(nil), buf[:n]...), time.Now().Add(l.delay)}:
		default:
		}
	}
}

func deliver(to io.Writer, packets <-chan packet) {
	for p := range packets {
		time.Sleep(time.Until(p.due))
		to.Write(p.data) // a device that is down loses it, as it should
	}
}
