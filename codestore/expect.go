package codestore

import (
	"container/list"
	"context"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// sendGrace is how long somebody who was asked for code may take to begin
	// sending, and who sends it to send progressStep bytes more, before the next is asked.
	sendGrace = 5 * time.Second
	// progressStep with sendGrace makes 13 KB a second: slower than any line
	// that is worth waiting for.
	progressStep = 64 << 10
	// maxExpected bounds the codes that are expected at a time, maxWaiting who
	// waits for them. Above these everybody is asked at once.
	maxExpected = 4096
	maxWaiting  = 10_000
	// maxSenders bounds who is asked for the same code at a time.
	maxSenders = 4096
)

// A wanted is code that a namespace's clients need. Who waits learns of its own
// namespace only.
type wanted struct {
	owner  string // see ownerMark
	digest function.Digest
}

// An expectation is code that somebody was asked to send. All of it is guarded.
type expectation struct {
	senders  []*sender
	failures int           // senders that did not come, or failed, while others waited
	waiting  list.List     // of nothing: who waits, the first comer first
	changed  chan struct{} // closed and renewed when who waits must look again
}

// A sender is somebody who was asked to send, or who sends.
type sender struct {
	until   time.Time // when it is not waited for any more; then the next is asked
	sending bool
}

// Await returns nil when namespace has the code. When it has not, the first
// who asks gets function.CodeCodeMissing, and is expected to Put the code soon. The
// others wait until the code is there. When the one who was asked does not begin
// within a few seconds, stops sending, or fails, the next who waits is asked instead; when
// that goes wrong again and again, ever more are asked at a time. When ctx ends first, the error
// says so.
func (s *Store) Await(ctx context.Context, namespace string, digest function.Digest) error {
	key := wanted{ownerMark(namespace), digest}
	x, place, present := s.queue(key)
	if present {
		return nil
	}
	if x == nil {
		return missing(digest)
	}
	defer s.leave(key, x, place)
	for ctx.Err() == nil { // who has left must not be asked
		turn, until, changed := s.turn(key, x, place, time.Now())
		switch turn {
		case turnHere:
			return nil
		case turnSend:
			return missing(digest)
		}
		waitForTurn(ctx, until, changed)
	}
	return errLate(ctx.Err())
}

// errLate is for who could not wait long enough for somebody else's upload.
func errLate(why error) *function.Error {
	e := function.Errorf(function.CodeOf(why), "another client is sending the code, and it was not here in time; init again")
	e.RetryAfter = time.Second
	return e
}

// waitForTurn waits until something has changed, for the time until (unless that is zero), or
// until ctx ends.
func waitForTurn(ctx context.Context, until time.Time, changed <-chan struct{}) {
	var lapse <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		lapse = timer.C
	}
	select {
	case <-changed:
	case <-lapse:
	case <-ctx.Done():
	}
}

// queue lets somebody wait for the code, unless it is present. Without an
// expectation there is no room to wait.
func (s *Store) queue(key wanted) (x *expectation, place *list.Element, present bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owns(key) {
		return nil, nil, true
	}
	if s.waiting >= maxWaiting {
		return nil, nil, false
	}
	if x = s.expect(key); x == nil {
		return nil, nil, false
	}
	s.waiting++
	return x, x.waiting.PushBack(nil), false
}

// leave ends a wait.
func (s *Store) leave(key wanted, x *expectation, place *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	x.waiting.Remove(place)
	if len(x.senders) < x.atOnce() {
		x.wake() // it may be the next one's turn now
	}
	s.dropUnneeded(key, x)
}

// What turn may answer.
type turn int

const (
	turnWait turn = iota
	turnHere
	turnSend
)

// turn says what who waits at place shall do now. To wait is until something
// has changed, or until a time.
func (s *Store) turn(key wanted, x *expectation, place *list.Element, now time.Time) (turn, time.Time, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owns(key) {
		return turnHere, time.Time{}, nil
	}
	x.lapse(now)
	if x.mayAsk(place) {
		x.add(&sender{until: now.Add(sendGrace)})
		return turnSend, time.Time{}, nil
	}
	return turnWait, x.nextLapse(), x.changed
}

// lapse stops waiting for senders whose time is over.
func (x *expectation) lapse(now time.Time) {
	before := len(x.senders)
	x.senders = slices.DeleteFunc(x.senders, func(s *sender) bool { return !now.Before(s.until) })
	x.failures += before - len(x.senders)
	if len(x.senders) == 0 && x.waiting.Len() <= 1 {
		x.failures = 0 // nobody has waited for them
	}
}

// mayAsk reports whether who waits at place is one of those who come next.
func (x *expectation) mayAsk(place *list.Element) bool {
	room := x.atOnce() - len(x.senders)
	for e := x.waiting.Front(); e != nil && room > 0; e = e.Next() {
		if e == place {
			return true
		}
		room--
	}
	return false
}

// atOnce is how many may be asked at a time. A second failure doubles it, and
// each further one: however many clients ask and never send, who waits behind them gets its turn
// after a few graces.
func (x *expectation) atOnce() int {
	return min(maxSenders, 1<<min(max(0, x.failures-1), 30))
}

// add adds a sender. Who waits must know how long to wait for it.
func (x *expectation) add(s *sender) {
	x.senders = append(x.senders, s)
	x.wake()
}

// nextLapse is when the first of the senders is not waited for any more; zero without any.
func (x *expectation) nextLapse() (first time.Time) {
	for _, s := range x.senders {
		if first.IsZero() || s.until.Before(first) {
			first = s.until
		}
	}
	return first
}

// wake makes all who wait look again.
func (x *expectation) wake() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// owns reports whether the namespace has uploaded the code, and it is still here. It wants the lock.
func (s *Store) owns(key wanted) bool {
	e := s.entries[key.digest]
	return e != nil && e.owners[key.owner]
}

// expect returns the expectation of key, or nil when there are too many. It wants the lock.
func (s *Store) expect(key wanted) *expectation {
	x := s.expected[key]
	if x != nil {
		return x
	}
	if len(s.expected) >= maxExpected && !s.dropLapsed(time.Now()) {
		return nil
	}
	x = &expectation{changed: make(chan struct{})}
	s.expected[key] = x
	return x
}

// dropLapsed forgets the expectations whose senders never came, and reports
// whether there were any. Else nobody would: who was asked need not come back. It wants the lock.
func (s *Store) dropLapsed(now time.Time) bool {
	before := len(s.expected)
	for key, x := range s.expected {
		x.lapse(now)
		s.dropUnneeded(key, x)
	}
	return len(s.expected) < before
}

// dropUnneeded forgets an expectation that nobody waits for, and that nobody is to fulfil. It wants the lock.
func (s *Store) dropUnneeded(key wanted, x *expectation) {
	if x.waiting.Len() == 0 && len(x.senders) == 0 && s.expected[key] == x {
		delete(s.expected, key)
	}
}
