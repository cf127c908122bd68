package openserverless

import (
	"container/list"
	"net/http"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// limits bound what the Face remembers.
type limits struct {
	idle     time.Duration // after it an unused lease ends
	sessions int
	bytes    int64 // of all sessions' files
}

// forgetAfter is for how many idle times a session is remembered: OpenWhisk
// removes a client that nobody calls for ten minutes, so after an hour it is gone
// for certain, and its names may mean something else.
const forgetAfter = 6

// sessions are all that are known. Which functions the names mean is decided here.
type sessions struct {
	files  sessionFiles
	limits limits

	mu     sync.Mutex // guards all below, and the table's fields of each session
	byID   map[string]*list.Element
	byHash map[string]*group
	order  *list.List // of *session; the most recently used first
	bytes  int64
}

// A group is the sessions whose clients name the code alike.
type group struct {
	used    time.Time // when a run named nothing but the hash: it may have been any client's
	members map[*session]bool
}

// openSessions reads the sessions that an earlier Face has kept for namespace.
func openSessions(files sessionFiles, namespace string, l limits) (*sessions, error) {
	t := &sessions{files: files, limits: l, byID: map[string]*list.Element{}, byHash: map[string]*group{}, order: list.New()}
	all, err := files.load(namespace)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		t.insert(s)
	}
	t.sweep()
	return t, nil
}

// insert makes s known, as the most recently used. t.mu is held, or t is not shared yet.
func (t *sessions) insert(s *session) {
	s.used = time.Now()
	t.byID[s.actionID] = t.order.PushFront(s)
	t.bytes += s.bytes
	if s.hash == "" {
		return
	}
	if t.byHash[s.hash] == nil {
		t.byHash[s.hash] = &group{members: map[*session]bool{}}
	}
	t.byHash[s.hash].members[s] = true
}

// drop forgets s. t.mu is held.
func (t *sessions) drop(s *session) error {
	s.gone = true
	t.order.Remove(t.byID[s.actionID])
	delete(t.byID, s.actionID)
	t.bytes -= s.bytes
	if g := t.byHash[s.hash]; g != nil {
		if delete(g.members, s); len(g.members) == 0 {
			delete(t.byHash, s.hash)
		}
	}
	return t.files.remove(s.actionID)
}

// sweep forgets those that were silent for too long, and the least recently used
// ones above the limits. t.mu is held.
func (t *sessions) sweep() {
	oldest := time.Now().Add(-forgetAfter * t.limits.idle)
	for place, left := t.order.Back(), t.order.Len(); left > 0; left-- {
		s := place.Value.(*session)
		place = place.Prev()
		crowded := t.order.Len() > t.limits.sessions || t.bytes > t.limits.bytes
		g := t.byHash[s.hash]
		switch {
		case !crowded && s.used.After(oldest):
			return
		case s.running > 0, !crowded && g != nil && g.used.After(oldest):
			t.use(s)
		default:
			t.drop(s) // a file that stays is found at the next start
		}
	}
}

// of returns the session that a client names by its id; nil if there is none.
func (t *sessions) of(actionID string) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return t.get(actionID)
}

func (t *sessions) get(actionID string) *session {
	if place := t.byID[actionID]; place != nil {
		return place.Value.(*session)
	}
	return nil
}

// add makes a session known whose function is ready. When its client has one of
// the same function already, that stays, and is returned.
func (t *sessions) add(s *session, spec function.Spec) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.get(s.actionID); known != nil {
		if !known.same(s) {
			return nil, errTaken
		}
		t.use(known)
		return known, nil
	}
	var err error
	if s.bytes, err = t.files.save(s, spec); err != nil {
		return nil, err
	}
	t.insert(s)
	s.running++ // so that it is not the one to go
	t.sweep()
	s.running--
	return s, nil
}

// same reports whether both names mean the same function.
func (s *session) same(other *session) bool { return s.id == other.id && s.hash == other.hash }

var errTaken = refuse(http.StatusConflict, "This proxiedActionID belongs to another function already; a client makes a new one for each /init.")

// use makes s the most recently used. t.mu is held.
func (t *sessions) use(s *session) {
	s.used = time.Now()
	t.order.MoveToFront(t.byID[s.actionID])
}

// begin returns the session that a run is for. The caller ends with end.
func (t *sessions) begin(n names) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	s, err := t.find(n)
	if err != nil {
		return nil, err
	}
	if n.actionID == "" {
		t.byHash[n.hash].used = time.Now()
	}
	t.use(s)
	s.running++
	return s, nil
}

// end says that a run has ended, and reports whether its session is still there.
func (t *sessions) end(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.running--
	if !s.gone {
		t.use(s)
	}
	return !s.gone
}

// has reports whether s has not been stopped or forgotten.
func (t *sessions) has(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !s.gone
}

// stop forgets the session that is named, and returns it. Other clients of the
// same function keep theirs; so a hash that several clients use names none.
func (t *sessions) stop(n names) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	s, err := t.find(n)
	if err != nil {
		return nil, err
	}
	if n.actionID == "" && len(t.byHash[n.hash].members) > 1 {
		return nil, errSeveralClients
	}
	return s, t.drop(s)
}

var errSeveralClients = refuse(http.StatusConflict, "Several clients hold the function of this actionCodeHash; say whose claim shall end by its proxiedActionID.")

// find returns the session that the names mean. t.mu is held.
func (t *sessions) find(n names) (*session, error) {
	if n.actionID == "" {
		return t.findHash(n.hash)
	}
	s := t.get(n.actionID)
	switch {
	case s == nil:
		return nil, errUnknown
	case n.hash != "" && n.hash != s.hash:
		return nil, errMismatch
	}
	return s, nil
}

// findHash returns the session that was used last among those of hash: whose run it is
// cannot be known, and makes no difference while all are of one function.
func (t *sessions) findHash(hash string) (*session, error) {
	g := t.byHash[hash]
	if g == nil {
		return nil, errUnknown
	}
	var found *session
	for s := range g.members {
		switch {
		case found == nil:
			found = s
		case s.id != found.id:
			return nil, errAmbiguous
		case s.used.After(found.used):
			found = s
		}
	}
	return found, nil
}

var (
	errUnknown  = refuse(http.StatusNotFound, "Action not found in remote runtime: it was never initialized here, or stopped, or not used for long. Initialize it again.")
	errMismatch = refuse(http.StatusConflict, "The proxiedActionID and the actionCodeHash belong to different functions.")
	// errAmbiguous is for two functions with the same code: other actions, mains or environments.
	errAmbiguous = refuse(http.StatusConflict, "The actionCodeHash names more than one function here: the same code was initialized for another action, with another main or another environment, "+
		"and it cannot be known which one is meant. Send the proxiedActionID too, or make the code differ, by a comment for example.")
)
