package scaler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeCloud is a driver and the balancer that its machines join. Everything in it
// happens in the fake time of synctest.
type fakeCloud struct {
	boot    time.Duration // from Start until the server joins; negative: it never does
	stopErr error
	err     error // of Start

	mu       sync.Mutex
	n        int
	machines []Machine
	joined   map[string]*Server
	waiting  int
	lacking  bool // its servers lack the kind
	demanded chan struct{}
	starts   int
	most     int
	reset    int // calls of Reconsider
	stops    []string
	closed   bool
}

func newCloud() *fakeCloud {
	return &fakeCloud{boot: 30 * time.Second, joined: map[string]*Server{}, demanded: make(chan struct{})}
}

func (c *fakeCloud) Start(_ context.Context, label string, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts++
	if c.err != nil {
		return c.err
	}
	for range n {
		c.add(fmt.Sprint("m", c.n), label)
	}
	return nil
}

func (c *fakeCloud) add(name, label string) {
	c.n++
	c.machines = append(c.machines, Machine{Server: name, Label: label, State: Starting, Since: time.Now()})
	c.most = max(c.most, len(c.machines))
	if c.boot >= 0 {
		time.AfterFunc(c.boot, func() { c.join(name, label) })
	}
}

func (c *fakeCloud) join(name, label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.machines, func(m Machine) bool { return m.Server == name }) {
		c.joined[name] = &Server{ID: name + "-id", Name: name, Labels: []string{label}}
	}
}

func (c *fakeCloud) Stop(_ context.Context, server string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.joined[server]; s != nil && s.Running > 0 {
		panic("a busy server was stopped")
	}
	c.stops = append(c.stops, server)
	if c.stopErr != nil {
		return c.stopErr
	}
	delete(c.joined, server)
	c.machines = slices.DeleteFunc(c.machines, func(m Machine) bool { return m.Server == server })
	return nil
}

func (c *fakeCloud) List(context.Context) ([]Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.machines), nil
}

func (c *fakeCloud) Close(context.Context) error {
	c.closed = true
	return nil
}

func (c *fakeCloud) Fleet() Fleet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var f Fleet
	var lacking []string
	taking := 0
	for _, s := range c.joined {
		f.Servers = append(f.Servers, *s)
		lacking = append(lacking, s.Name)
		if !s.Draining {
			taking++
		}
	}
	if c.waiting > 0 && (taking == 0 || c.lacking) {
		d := Demand{Labels: []string{"gpu"}, Kind: "python:3", Waiting: c.waiting}
		if c.lacking {
			d.Lacking = lacking
		}
		f.Demands = append(f.Demands, d)
	}
	return f
}

func (c *fakeCloud) Demanded() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.demanded
}

func (c *fakeCloud) Cordon(_ context.Context, server string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined[server] == nil {
		return errors.New("not connected")
	}
	c.joined[server].Draining = true
	return nil
}

func (c *fakeCloud) Uncordon(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined[server].Draining = false
}

func (c *fakeCloud) Reconsider() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset++
	c.waiting = 0 // they ask Serves, and are refused
}

// set changes something of the cloud.
func (c *fakeCloud) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// wait says that n runs wait.
func (c *fakeCloud) wait(n int) {
	c.set(func() {
		c.waiting = n
		close(c.demanded)
		c.demanded = make(chan struct{})
	})
}

// A book is what a cloud has counted.
type book struct {
	starts, most, reset int
	stops               []string
}

func (c *fakeCloud) book() book {
	c.mu.Lock()
	defer c.mu.Unlock()
	return book{c.starts, c.most, c.reset, slices.Clone(c.stops)}
}

// scaling runs a scaler over the cloud in fake time while test goes on.
func scaling(t *testing.T, c *fakeCloud, cfg Config, test func(s *Scaler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.demanded = make(chan struct{}) // of this bubble
		cfg.Pools = []Pool{{Labels: []string{"gpu"}, Driver: c}}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, c) }()
		synctest.Wait()
		test(s)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !c.closed {
			t.Error("the driver was not closed")
		}
	})
}

// after lets the time pass, and returns how many machines there are then.
func (c *fakeCloud) after(d time.Duration) int {
	time.Sleep(d)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.machines)
}
