package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run in a bubble whose clock jumps, with pipes for sockets.

// pipeDial returns what makes a pipe for each value that is sent to let, and
// where the far ends come.
func pipeDial() (dial dialFunc, let chan error, far chan net.Conn) {
	let, far = make(chan error), make(chan net.Conn, 100)
	return func(context.Context) (net.Conn, error) {
		if err := <-let; err != nil {
			return nil, err
		}
		near, other := net.Pipe()
		far <- other
		return near, nil
	}, let, far
}

// taking takes a lane in the background.
func taking(ctx context.Context, p *lanes, deadline time.Time) chan offer {
	taken := make(chan offer, 1)
	go func() {
		l, err := p.take(ctx, deadline)
		taken <- offer{l, err}
	}()
	synctest.Wait()
	return taken
}

// isClosed reports whether the other end of a pipe was closed.
func isClosed(far net.Conn) bool {
	far.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := far.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestIdleLanesAreClosedWhenTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanes(nil, time.Minute)
		defer p.close()
		var far [3]net.Conn
		for i := range far {
			near, other := net.Pipe()
			far[i] = other
			p.give(newLane(near, lastWrite))
			time.Sleep(20 * time.Second)
		}
		time.Sleep(time.Second) // 61 s after the first, 41 s after the second
		if !isClosed(far[0]) || isClosed(far[1]) || isClosed(far[2]) {
			t.Error("not just the oldest was closed")
		}
		time.Sleep(time.Minute)
		if !isClosed(far[1]) || !isClosed(far[2]) || len(p.idle) != 0 || p.sweeper != nil {
			t.Error("some are left")
		}
	})
}

// After renew no lane from before it is used again, idle or in use then.
func TestRenewedLanesAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanes(nil, time.Minute)
		defer p.close()
		var far [2]net.Conn
		var l [2]*lane
		for i := range far {
			near, other := net.Pipe()
			far[i], l[i] = other, newLane(near, lastWrite)
			p.give(l[i])
		}
		busy, err := p.next(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		busy.used = true
		p.renew()
		if !isClosed(far[0]) || isClosed(far[1]) {
			t.Error("not just the idle one was closed")
		}
		p.give(busy)
		near, other := net.Pipe()
		p.give(newLane(near, lastWrite))
		if !isClosed(far[1]) || isClosed(other) || len(p.idle) != 1 {
			t.Errorf("%d lanes are idle, not just the new one", len(p.idle))
		}
	})
}

func TestIdleLanesAreBoundedAndClosedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanes(nil, time.Minute)
		var far []net.Conn
		for range maxIdle + 1 {
			near, other := net.Pipe()
			far = append(far, other)
			p.give(newLane(near, lastWrite))
		}
		if len(p.idle) != maxIdle || !isClosed(far[maxIdle]) || isClosed(far[0]) {
			t.Errorf("%d are idle", len(p.idle))
		}
		p.close()
		for i, conn := range far {
			if !isClosed(conn) {
				t.Fatalf("lane %d is open after the end", i)
			}
		}
		near, other := net.Pipe()
		p.give(newLane(near, lastWrite))
		if !isClosed(other) {
			t.Error("a lane that comes back after the end is kept")
		}
		if _, err := p.take(t.Context(), time.Time{}); !errors.Is(err, errClientClosed) {
			t.Errorf("take after the end: %v", err)
		}
	})
}

func TestWaitingRunTakesWhatComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, let, far := pipeDial()
		p := newLanes(dial, time.Minute)
		a := taking(t.Context(), p, time.Time{})
		let <- nil
		first := (<-a).lane
		b := taking(t.Context(), p, time.Time{})
		p.give(first) // unused, and so taken as it is
		if o := <-b; o.err != nil || o.lane != first {
			t.Errorf("got %+v, not what the other run left", o)
		}
		// The dial goes on, and what comes of it is kept.
		let <- nil
		synctest.Wait()
		if p.dialing != 0 || len(p.idle) != 1 {
			t.Errorf("%d dials, %d idle", p.dialing, len(p.idle))
		}
		<-far
		p.close()
		if !isClosed(<-far) {
			t.Error("the surplus connection is open")
		}
		first.conn.Close()
	})
}

func TestNoMoreDialsThanRunsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, let, _ := pipeDial()
		p := newLanes(dial, time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		for range 5 {
			taking(ctx, p, time.Time{})
		}
		cancel()
		synctest.Wait()
		late := taking(t.Context(), p, time.Time{})
		if p.dialing != 5 || len(p.waiting) != 1 {
			t.Errorf("%d dials for %d", p.dialing, len(p.waiting))
		}
		// Those dials began before the run came: their errors are not its own.
		for range 5 {
			let <- errors.New("old")
		}
		synctest.Wait()
		if p.dialing != 1 || len(late) != 0 {
			t.Fatalf("%d dials, %d answers", p.dialing, len(late))
		}
		own := errors.New("its own")
		let <- own
		if o := <-late; !errors.Is(o.err, own) {
			t.Errorf("got %v", o.err)
		}
		p.close()
	})
}

func TestRunWaitsForALaneNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, let, _ := pipeDial()
		p := newLanes(dial, time.Minute)
		begin := time.Now()
		o := <-taking(t.Context(), p, begin.Add(3*time.Second))
		if !errors.Is(o.err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v after %v", o.err, time.Since(begin))
		}
		left := taking(t.Context(), p, time.Time{})
		closed := make(chan struct{})
		go func() { p.close(); close(closed) }()
		if o := <-left; !errors.Is(o.err, errClientClosed) {
			t.Errorf("at the end: %v", o.err)
		}
		let <- errors.New("ended") // close waits for the dial
		<-closed
	})
}

func TestDeadlineOfARunDoesNotReachTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		l := newLane(near, lastWrite)
		defer near.Close()
		go func() {
			time.Sleep(time.Hour)
			far.Write([]byte("x"))
		}()
		l.limit(time.Now().Add(time.Second))
		if _, err := l.Read(make([]byte, 1)); err == nil {
			t.Error("the deadline was not set")
		}
		l.limit(time.Time{})
		if n, err := l.Read(make([]byte, 1)); n != 1 {
			t.Error(err)
		}
	})
}

// A deadlined counts how often its deadline is set.
type deadlined struct {
	net.Conn
	set []time.Time
}

func (d *deadlined) SetDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestDeadlineIsSetOnlyWhereTheOneBeforeIsNoGood(t *testing.T) {
	conn := &deadlined{}
	l := newLane(conn, lastWrite)
	now := time.Now()
	for _, step := range []struct {
		deadline time.Time
		want     int // times that it was set, in all
	}{
		{time.Time{}, 0}, {now.Add(time.Minute), 1}, {now.Add(time.Minute + slack/2), 1}, {now.Add(time.Minute + slack), 1},
		{now.Add(time.Minute + slack + 1), 2}, {now.Add(time.Second), 3}, {time.Time{}, 4}, {time.Time{}, 4}, {now.Add(time.Second), 5},
	} {
		l.limit(step.deadline)
		if len(conn.set) != step.want {
			t.Errorf("%v: set %d times, want %d", step.deadline, len(conn.set), step.want)
		}
		if !step.deadline.IsZero() {
			last := conn.set[len(conn.set)-1]
			if last.Before(step.deadline) || last.After(step.deadline.Add(slack)) {
				t.Errorf("%v: the connection's is %v", step.deadline, last)
			}
		}
	}
}
