package codestore

import (
	"slices"
	"time"
)

// An arrival is one Put, as who waits for its code sees it.
type arrival struct {
	store  *Store
	key    wanted
	x      *expectation // nil: there are too many
	sender *sender
	fresh  int // bytes since the sender was last seen to send
}

// arrive says that the code is being sent: by one who was asked, as far as anybody was.
func (s *Store) arrive(key wanted) *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &arrival{store: s, key: key, x: s.expect(key)}
	if a.x == nil {
		return a
	}
	a.sender = a.x.begin(time.Now())
	return a
}

// begin returns the sender that was asked first and has not begun, or a new one.
func (x *expectation) begin(now time.Time) *sender {
	until := now.Add(sendGrace)
	for _, s := range x.senders {
		if !s.sending {
			s.sending, s.until = true, until
			return s
		}
	}
	s := &sender{sending: true, until: until}
	x.add(s)
	return s
}

// got says that n bytes more have come.
func (a *arrival) got(n int) {
	if a.fresh += n; a.fresh < progressStep || a.x == nil {
		return
	}
	a.fresh = 0
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	a.sender.until = time.Now().Add(sendGrace)
}

// end says that the Put has ended. Who waits now may wait in another expectation
// than it began with, when it was slow.
func (a *arrival) end(err error) {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	if a.x != nil {
		a.x.ended(a.sender, err)
	}
	if x := a.store.expected[a.key]; x != nil {
		x.wake()
		a.store.dropUnneeded(a.key, x)
	}
}

// ended forgets a sender, unless that was done at the end of its time.
func (x *expectation) ended(s *sender, err error) {
	i := slices.Index(x.senders, s)
	if i < 0 {
		return
	}
	x.senders = slices.Delete(x.senders, i, i+1)
	if err != nil {
		x.failures++
	}
}
