package cgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Manager owns the parent group of all workers, in each hierarchy. All its
// methods may be called at the same time.
type Manager struct {
	trees []*tree // the one that kills comes first
	last  atomic.Int64

	mu     sync.Mutex
	filter filter // what Restrict attached
}

// Open makes a parent group "whiskaway-NAME" below the group that this process
// is in, in each hierarchy that it may write. All that an earlier server of the
// same name left there is killed and removed, so two servers that live at the
// same time must not share a name. The name is letters, digits and '-'. On pure
// v2 it may move this process into a group "whiskaway-NAME-self", and Close
// moves it back; a process that was started before stays and is in the way.
//
// The error is ErrNone where no hierarchy can be written.
func Open(name string, log *slog.Logger) (*Manager, error) {
	return open(realHost(), name, log)
}

func open(h host, name string, log *slog.Logger) (*Manager, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`).MatchString(name) {
		return nil, fmt.Errorf("control group name %q: it must be 1 to 64 letters, digits and '-'", name)
	}
	places, refused, err := h.places()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	// Version 2 first: where it is, it kills.
	slices.SortStableFunc(places, func(a, b place) int { return order(a) - order(b) })
	m := &Manager{}
	for _, p := range places {
		if !p.serves(h.wanted, len(m.trees) > 0) {
			continue
		}
		h := h
		if !p.v2 && len(m.trees) == 0 {
			h.wanted = append(slices.Clone(h.wanted), "freezer")
		}
		t, err := h.open(p, name)
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", p, err))
			continue
		}
		m.trees = append(m.trees, t)
		if !t.v2 {
			continue
		}
		if err := t.delegate(name); err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", p, err))
		}
	}
	if len(places) == 0 {
		refused = append(refused, "no hierarchy that limits anything is mounted")
	}
	if len(m.trees) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNone, strings.Join(refused, "; "))
	}
	if len(refused) > 0 {
		log.Info("some control groups cannot be used", "why", strings.Join(refused, "; "))
	}
	return m, nil
}

// Sweep removes the parent groups "whiskaway-PREFIX-..." below the group that this process is in, and kills who is
// left there: what was killed could not Close them. The prefix is as a name for Open. Where there are no groups
// there is nothing to do.
func Sweep(prefix string) error { return sweep(realHost(), prefix) }

func sweep(h host, prefix string) error {
	places, _, err := h.places()
	if err != nil {
		return nil // there are none
	}
	var failed []error
	for _, p := range places {
		t := &tree{host: h, place: p}
		groups, _ := filepath.Glob(filepath.Join(p.own, "whiskaway-"+prefix+"-*"))
		for _, dir := range groups {
			failed = append(failed, t.remove(dir))
		}
	}
	return errors.Join(failed...)
}

// order puts first what kills best: version 2, then the freezer.
func order(p place) int {
	switch {
	case p.v2:
		return 0
	case slices.Contains(p.controllers, "freezer"):
		return 1
	default:
		return 2
	}
}

// serves tells whether a hierarchy is of any use to us. The freezer is only
// where there is no version 2, which freezes too.
func (p place) serves(controllers []string, killerFound bool) bool {
	if p.v2 || len(intersection(p.controllers, controllers)) > 0 {
		return true
	}
	return !killerFound && slices.Contains(p.controllers, "freezer")
}

// Enforced says which limits really hold here: "cgroup memory", "cgroup
// processes", "cgroup cpu", and "cgroup kill" where a group that forks without
// end can be killed too.
func (m *Manager) Enforced() []string {
	var words []string
	for _, limit := range []struct{ controller, word string }{
		{"memory", "cgroup memory"}, {"pids", "cgroup processes"}, {"cpu", "cgroup cpu"},
	} {
		if _, ok := m.find(limit.controller); ok {
			words = append(words, limit.word)
		}
	}
	if killer := m.trees[0]; killer.freezes() || exists(killer.dir, "cgroup.kill") {
		words = append(words, "cgroup kill")
	}
	return words
}

// SetBudget limits the memory, in bytes, of all groups together; 0 is no limit.
// The error is errors.ErrUnsupported where memory cannot be limited.
func (m *Manager) SetBudget(memory int64) error {
	t, ok := m.find("memory")
	if !ok {
		return fmt.Errorf("limit the memory of all workers: %w", errors.ErrUnsupported)
	}
	return t.setMemory(t.dir, memory)
}

// New makes a group. The name is for a person who looks at the machine; what
// does not belong in a file name is replaced, and a number makes it unique.
func (m *Manager) New(name string, l Limits) (*Group, error) {
	g := &Group{trees: m.trees, name: fmt.Sprintf("%s-%d", sanitise(name), m.last.Add(1))}
	for _, t := range g.trees {
		if err := g.make(t, l); err != nil {
			return nil, errors.Join(fmt.Errorf("make control group %s: %w", g.name, err), g.Close())
		}
	}
	return g, nil
}

// sanitise keeps letters, digits and '-', and of the name the first 64 bytes.
func sanitise(name string) string {
	clean := []byte(name[:min(len(name), 64)])
	for i, c := range clean {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			clean[i] = '-'
		}
	}
	return string(clean)
}

// Close kills all that is left in any group, and removes all of them.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	failed := []error{m.filter.close()}
	m.filter = nil
	for _, t := range m.trees {
		failed = append(failed, t.remove(t.dir), t.moveBack())
	}
	return errors.Join(failed...)
}

func (m *Manager) find(controller string) (*tree, bool) { return find(m.trees, controller) }

func find(trees []*tree, controller string) (*tree, bool) {
	for _, t := range trees {
		if t.has(controller) {
			return t, true
		}
	}
	return nil, false
}
