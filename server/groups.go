package server

import (
	"cmp"
	"fmt"
	"sync"

	"github.com/whiskaway/whiskaway/sandbox/cgroup"
)

// A cage is the control group of one worker; a nil one does nothing.
type cage struct {
	group  *cgroup.Group
	memory int64 // bytes that it may use; 0: not limited
	budget int64 // bytes that all may use together
	s      *Server
	left   sync.Once
}

// newCage makes the control group for a worker, where there are any.
func (s *Server) newCage(name string, memory int64) (*cage, error) {
	if s.groups == nil {
		return nil, nil
	}
	g, err := s.groups.New(name, cgroup.Limits{Memory: memory, Processes: s.processes})
	if err != nil {
		return nil, fmt.Errorf("making a worker's control group: %w", err)
	}
	return &cage{group: g, memory: memory, budget: s.offer.memory, s: s}, nil
}

// enter takes the worker's shim in, before it starts anything.
func (c *cage) enter(pid int) error {
	if c == nil {
		return nil
	}
	return c.group.Add(pid)
}

// leave removes the group, at the first time, and says what the kernel ended the worker for, if it did.
func (c *cage) leave() (cause string) {
	if c != nil {
		c.left.Do(func() { cause = c.remove() })
	}
	return cause
}

func (c *cage) remove() (cause string) {
	usage, err := c.group.Usage()
	if err == nil && usage.OOMKills > 0 {
		cause = outOfMemory(cmp.Or(c.memory, c.budget))
	}
	if err := c.group.Close(); err != nil {
		c.s.log.Error("a worker's control group could not be removed", "error", err)
	}
	return cause
}
