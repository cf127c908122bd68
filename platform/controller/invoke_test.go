package controller

import (
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
)

// A fakeReader says whether it has begun to read, and tells that it was asked.
type fakeReader struct {
	bus.Reader
	begun bool
	asked chan struct{}
}

func (f fakeReader) Accepted(string) {}

func (f fakeReader) Stays() bool {
	f.asked <- struct{}{}
	return f.begun
}

// The time that a blocking call waits ends no stream that has begun.
func TestWaitForAStreamsEnd(t *testing.T) {
	for _, begun := range []bool{true, false} {
		end, reader := make(chan *bus.Completed, 1), fakeReader{begun: begun, asked: make(chan struct{}, 1)}
		got := make(chan *bus.Completed)
		go func() { got <- await(t.Context(), end, Invocation{Wait: time.Millisecond, Reader: reader}) }()
		<-reader.asked
		if begun {
			end <- &bus.Completed{ActivationID: "1"}
		}
		if done := <-got; (done != nil) != begun {
			t.Errorf("begun %v: %v", begun, done)
		}
	}
}
