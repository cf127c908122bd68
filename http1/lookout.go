package http1

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// A lookout sees whether the client hangs up while a handler runs. It reads from
// the connection, so it is out only when the request was read to its end.
type lookout struct {
	net    net.Conn
	timer  *time.Timer
	out    bool // since the request's beginning; or it is too late
	cancel context.CancelFunc
	ended  chan struct{} // gets one value each time that the timer has fired
	ahead  [1]byte       // what it has read: the next request's first byte
	n      int
}

func (l *lookout) init(nc net.Conn) {
	l.net = nc
	l.ended = make(chan struct{}, 1)
}

func (l *lookout) begin(cancel context.CancelFunc) {
	l.cancel, l.out, l.n = cancel, false, 0
}

// watch looks out after a while. It is called once for a request at most.
func (l *lookout) watch() {
	l.out = true
	if l.timer == nil {
		l.timer = time.AfterFunc(watchAfter, l.look)
		return
	}
	l.timer.Reset(watchAfter)
}

// look is what the timer does; end waits for it.
func (l *lookout) look() {
	n, err := l.net.Read(l.ahead[:])
	l.n = n
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		l.cancel()
	}
	l.ended <- struct{}{}
}

// end returns what was read ahead, if anything.
func (l *lookout) end() (ahead byte, n int) {
	out := l.out
	l.out = true
	if !out || l.timer.Stop() {
		return 0, 0
	}
	l.net.SetReadDeadline(longAgo)
	<-l.ended
	l.net.SetReadDeadline(time.Time{})
	return l.ahead[0], l.n
}
