package api

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
	"github.com/whiskaway/whiskaway/stream"
)

const headerActivation = "X-Openwhisk-Activation-Id"

// A reading is a blocking caller who wants the items of the result as they come. It is
// the controller's Reader. The event end is kept until the activation is recorded.
type reading struct {
	w     http.ResponseWriter
	items *stream.Writer

	mu      sync.Mutex
	left    bool // nobody reads any more
	alone   bool // the run goes on without us
	gone    chan struct{}
	endData []byte
}

var errLeft = errors.New("the caller has left")

// reading returns the request's, or nil when the caller waits for no stream.
func (q *request) reading(waits bool) *reading {
	form := stream.Asked(q.Header["Accept"])
	if !waits || form == stream.None {
		return nil
	}
	r := &reading{w: q.w, items: stream.NewWriter(q.w, form, 0), gone: make(chan struct{})}
	context.AfterFunc(q.Context(), r.leave)
	return r
}

// Accepted implements controller.Reader.
func (r *reading) Accepted(id string) { r.w.Header().Set(headerActivation, id) }

// Event implements bus.Reader.
func (r *reading) Event(name string, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.alone:
		return nil
	case r.left:
		return errLeft
	case name == stream.EventEnd:
		r.endData = append([]byte(nil), data...)
		return nil
	}
	return r.items.Event(name, data)
}

// Gone implements bus.Reader.
func (r *reading) Gone() <-chan struct{} { return r.gone }

// Stays implements controller.Reader.
func (r *reading) Stays() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alone = !r.items.Begun() && r.endData == nil
	return !r.alone
}

// leave says that nobody reads any more. After it nothing more is written.
func (r *reading) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
}

// stop is leave while mu is held.
func (r *reading) stop() {
	if !r.left && !r.alone {
		r.left = true
		close(r.gone)
	}
}

// end ends the stream when the run has. It reports whether there is one: what
// fails before the first item is answered as ever.
func (r *reading) end(done *bus.Completed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	begun := r.items.Begun()
	switch {
	case r.endData != nil:
		r.items.Event(stream.EventEnd, r.endData)
	case done == nil && !begun, done != nil && !begun && done.Status != store.StatusSuccess:
		r.stop() // the answer is another's to write
		return false
	case done == nil:
		r.items.End(stream.Ending{Outcome: "lost", Error: []byte(`{"error":"The platform has lost the activation."}`)})
	case !begun: // of a container that knows no streams
		r.items.Item(done.Result)
		r.items.End(stream.Ending{Outcome: "ok"})
	default:
		r.items.End(stream.Ending{Outcome: outcomeOf(done.Status), Error: done.Result})
	}
	return true
}

// outcomeOf is the word for the status of a run whose stream was cut.
func outcomeOf(status int) string {
	switch status {
	case store.StatusApplicationError:
		return stream.ApplicationError
	case store.StatusDeveloperError:
		return stream.DeveloperError
	}
	return "lost"
}
