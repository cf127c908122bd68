package scaler

import (
	"fmt"
	"time"
)

// A machine is one that the driver lists.
type machine struct {
	server    string
	rank      int
	made      time.Time // Machine.Since
	joined    bool
	since     time.Time // see machineView
	runs      int64     // as Server.Runs was last
	busy      bool
	draining  bool
	leaving   bool
	stopping  bool
	stoppedAt time.Time
	failed    bool
	why       string
	notBefore time.Time
}

// see takes over the servers that have joined from the machine: one as a rule. It
// reports whether it has just joined.
func (m *machine) see(servers []Server, now time.Time) (came bool) {
	was := m.joined
	m.joined, m.busy, m.draining, m.leaving = len(servers) > 0, false, len(servers) > 0, false
	var runs int64
	needed := false
	for _, s := range servers {
		m.busy = m.busy || s.Running+s.Queued > 0
		m.draining = m.draining && s.Draining
		m.leaving = m.leaving || s.Leaving
		needed = needed || s.Needed
		runs += s.Runs
	}
	if m.joined != was || m.joined && (m.busy || needed || runs != m.runs) {
		m.since = now
	}
	m.runs = runs
	return m.joined && !was
}

// whyNot says why the machine is given up.
func (m *machine) whyNot(limit time.Duration) string {
	if m.failed {
		return fmt.Sprintf("server %s was started and has failed", m.server) + seeLog
	}
	return fmt.Sprintf("server %s was started and did not join within %v", m.server, limit)
}
