package wire

import (
	"context"
	"log/slog"
	"sync"

	"github.com/whiskaway/whiskaway/function"
)

// members are the servers that have dialled home: their connections, grouped
// into sessions. A session is one life of a server's process.
type members struct {
	join func(context.Context, Joining) error
	log  *slog.Logger
	ctx  context.Context // ends all sessions
	end  context.CancelFunc
	wg   sync.WaitGroup // the sessions' goroutines

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session // by server id; the newest one each
	// replaced holds for each server id the session that lost it to a newer
	// one: its connections are refused, or else two processes with the same
	// id would drive each other out for ever.
	replaced map[string]string
}

func newMembers(join func(context.Context, Joining) error, log *slog.Logger) *members {
	m := &members{join: join, log: log, sessions: map[string]*session{}, replaced: map[string]string{}}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// admit returns the session that a connection is for, which begins with its
// first one, or says why it may not join.
func (m *members) admit(req joinRequest) (*session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, function.Errorf(function.CodeDraining, "the balancer is about to end")
	}
	if m.replaced[req.serverID] == req.session {
		return nil, function.Errorf(function.CodeForbidden,
			"another process has joined as the same server (id %s) since; two servers must not share a data directory", req.serverID)
	}
	s := m.sessions[req.serverID]
	if s != nil && s.id == req.session && s.by.ID != req.by.ID {
		return nil, function.Errorf(function.CodeForbidden, "this server's other connections came by another token; what it may is that one's word")
	}
	if s == nil || s.id != req.session || s.ctx.Err() != nil {
		s = m.beginLocked(req, s)
	}
	return s, nil
}

// beginLocked starts a new session. m.mu is held.
func (m *members) beginLocked(req joinRequest, former *session) *session {
	s := newSession(m.ctx, req, m.log)
	if former != nil {
		if former.id != s.id {
			m.replaced[req.serverID] = former.id
		}
		former.cancel()
	}
	m.sessions[req.serverID] = s
	m.wg.Go(func() {
		if former != nil {
			<-former.done
		}
		s.run(m.join, m.log)
		m.forget(s)
	})
	return s
}

// forget drops an ended session, unless a newer one has its place.
func (m *members) forget(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.serverID] == s {
		delete(m.sessions, s.serverID)
		delete(m.replaced, s.serverID)
	}
}

// close ends all sessions and waits for them.
func (m *members) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.end()
	m.wg.Wait()
}
