package bus

import "sync"

// A Sending is what a controller whose caller stops waiting and the invoker that is about
// to send the run must agree about: whether the run is in the journal, and so must be
// claimed there, before or after it is sent. It lies in one process. Without one, a run
// that was not in the journal from the beginning counts as sent.
type Sending struct {
	mu        sync.Mutex
	sent      bool
	journaled bool
}

// Begin is the invoker's question right before the first byte leaves: must the run be
// claimed in the journal? If not, it counts as sent from here on.
func (s *Sending) Begin() (claim bool) {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = s.sent || !s.journaled
	return s.journaled
}

// Journaled says whether the run is in the journal.
func (s *Sending) Journaled() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journaled
}

// Accept calls accept, which puts the run into the journal, and tells it whether the
// run was sent already. Meanwhile it is not sent.
func (s *Sending) Accept(accept func(sent bool) error) error {
	if s == nil {
		return accept(true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := accept(s.sent); err != nil {
		return err
	}
	s.journaled = true
	return nil
}
