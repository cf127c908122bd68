package worker

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Where runs overlap, one reader serves them all. So each run's output waits in
// a queue of its own for whoever takes it: up to maxQueued bytes and one
// frame more. When that is full, the reader waits for it, but no longer than
// queuePatience in the whole run.
//
// The items of a stream need no patience: above holdAbove the process is told to
// make no more for now, and below goOnBelow to go on. What it has made until it hears
// that has room as well, up to maxItems.
const (
	maxQueued     = 1 << 20
	queuePatience = time.Second
	holdAbove     = maxQueued / 2
	goOnBelow     = maxQueued / 8
	maxItems      = 8 << 20
)

var errStalled = errors.New("it has stopped taking it")

// A queue is an Output that hands on to a slower one.
type queue struct {
	out    function.Output
	failed func(error) // called when out has failed
	pace   func(hold bool)
	more   chan struct{}
	room   chan struct{}
	turn   chan struct{} // the level or the end may ask for another pace
	done   chan struct{} // closed when no call of out will follow
	paced  sync.WaitGroup
	waited time.Duration // the reader's

	mu     sync.Mutex
	chunks []chunk
	items  int  // bytes of results in chunks
	logs   int  // bytes of the rest
	pacing bool // somebody sets the pace
	held   bool // no item is wanted
	closed bool
	err    error // what failed; nothing is taken or handed on any more
}

// A chunk is output on its way.
type chunk struct {
	stream function.Stream
	data   []byte
}

func newQueue(out function.Output, failed func(error), pace func(hold bool)) *queue {
	q := &queue{
		out: out, failed: failed, pace: pace,
		more: make(chan struct{}, 1), room: make(chan struct{}, 1), turn: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go q.handOn()
	return q
}

// Write keeps a copy of p for out. It blocks only while the queue is full.
func (q *queue) Write(s function.Stream, p []byte) error {
	for !q.put(s, p) {
		if err := q.awaitRoom(); err != nil {
			q.fail(err)
			return err
		}
	}
	return nil
}

// put returns false when there is no room.
func (q *queue) put(s function.Stream, p []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || q.closed {
		return true
	}
	if s == function.Result && q.items >= maxItems || s != function.Result && q.logs >= maxQueued {
		return false
	}
	q.chunks = append(q.chunks, chunk{s, bytes.Clone(p)})
	q.count(s, len(p))
	signal(q.more)
	return true
}

// count takes note of n bytes more, and decides by the queue's level whether items
// are wanted. The process is told by a goroutine of its own: it may not be reading
// just now, because it waits for us to take what it wrote. mu must be held.
func (q *queue) count(s function.Stream, n int) {
	if s == function.Result {
		q.items += n
	} else {
		q.logs += n
	}
	switch level := q.items + q.logs; {
	case !q.held && level > holdAbove:
		q.held = true
	case q.held && level < goOnBelow:
		q.held = false
	default:
		return
	}
	if !q.pacing {
		q.pacing = true
		q.paced.Go(q.keepPace)
	}
	signal(q.turn)
}

// keepPace tells the process each change of the pace, until the run ends.
func (q *queue) keepPace() {
	for told := false; ; <-q.turn {
		q.mu.Lock()
		held, over := q.held, q.closed || q.err != nil
		q.mu.Unlock()
		if over {
			return
		}
		if held != told {
			q.pace(held)
			told = held
		}
	}
}

func (q *queue) awaitRoom() error {
	began := time.Now()
	timer := time.NewTimer(queuePatience - q.waited)
	defer timer.Stop()
	select {
	case <-q.room:
		q.waited += time.Since(began)
		return nil
	case <-timer.C:
		return errStalled
	}
}

// handOn writes what comes to out, until the queue is closed and empty, or out
// fails. Whoever closed the queue waits for it with wait.
func (q *queue) handOn() {
	defer close(q.done)
	for {
		c, ok := q.take()
		if !ok {
			return
		}
		if err := q.out.Write(c.stream, c.data); err != nil {
			q.fail(err)
			q.failed(err)
			return
		}
	}
}

// take returns the next chunk; false when there will be none.
func (q *queue) take() (chunk, bool) {
	for {
		q.mu.Lock()
		if q.err != nil || q.closed && len(q.chunks) == 0 {
			q.mu.Unlock()
			return chunk{}, false
		}
		if len(q.chunks) > 0 {
			c := q.chunks[0]
			q.chunks = q.chunks[1:]
			q.count(c.stream, -len(c.data))
			q.mu.Unlock()
			signal(q.room)
			return c, true
		}
		q.mu.Unlock()
		<-q.more
	}
}

// fail drops what is queued, and all that follows. The first error holds.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.chunks, q.items, q.logs = nil, 0, 0
	signal(q.room)
	signal(q.more)
	signal(q.turn)
}

// close says that nothing follows.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	signal(q.more)
	signal(q.turn)
}

// wait returns when all was handed on, or what failed.
func (q *queue) wait() error {
	<-q.done
	q.paced.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
