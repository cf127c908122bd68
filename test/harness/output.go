package harness

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// An Output keeps, byte for byte, what a process writes to one of its streams.
type Output struct {
	mu   sync.Mutex
	data []byte
	more chan struct{} // closed and renewed at each Write
}

func newOutput() *Output { return &Output{more: make(chan struct{})} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

// state is what has come so far, and what is closed when more comes.
func (o *Output) state() ([]byte, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data, o.more
}

// Bytes returns what has come so far. It must not be changed.
func (o *Output) Bytes() []byte {
	data, _ := o.state()
	return data
}

// String returns what has come so far.
func (o *Output) String() string { return string(o.Bytes()) }

// Lines returns the whole lines that have come so far, without their ends.
func (o *Output) Lines() []string {
	data := o.Bytes()
	whole := string(data[:bytes.LastIndexByte(data, '\n')+1])
	if whole == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(whole, "\n"), "\n")
}

// Wait waits until ok is true of what has come. It returns false when done is
// closed, or Patience is over, and ok still is not.
func (o *Output) Wait(done <-chan struct{}, ok func([]byte) bool) bool {
	timeout := time.After(Patience)
	for {
		data, more := o.state()
		if ok(data) {
			return true
		}
		select {
		case <-more:
			continue
		case <-done:
		case <-timeout:
		}
		return ok(o.Bytes())
	}
}
