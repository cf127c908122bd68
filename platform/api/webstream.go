package api

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/stream"
)

// A webReading is the reading of a web action's caller. A plain result is not a
// stream of one item here: it is rendered as ever. What might be one is therefore
// held back until something follows it.
type webReading struct {
	*reading
	marks []string // the members that tell a plain result from an item

	mu       sync.Mutex
	held     []byte
	heldName string
}

// webReading returns the request's, or nil when the caller asks for no stream.
func (q *request) webReading(extension string) *webReading {
	r := q.reading(true)
	if r == nil {
		return nil
	}
	marks := []string{"body", extension}
	switch extension {
	case "http":
		marks = []string{"statusCode", "headers", "body"}
	case "json":
		marks = nil
	}
	return &webReading{reading: r, marks: marks}
}

// Event implements bus.Reader.
func (r *webReading) Event(name string, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.held != nil && !(name == stream.EventEnd && !isStream(data)):
		if err := r.release(); err != nil {
			return err
		}
	case r.held == nil && !r.items.Begun() && (name == "error" || name == "" && r.looksPlain(data)):
		r.held, r.heldName = bytes.Clone(data), name
		return nil
	}
	return r.reading.Event(name, data)
}

func (r *webReading) release() error {
	held := r.held
	r.held = nil
	return r.reading.Event(r.heldName, held)
}

func (r *webReading) looksPlain(data []byte) bool {
	m := members(bytes.TrimSpace(data))
	for _, mark := range r.marks {
		if _, has := m[mark]; has {
			return true
		}
	}
	return false
}

// isStream says of an end's data whether what ends was a stream.
func isStream(end []byte) bool {
	var e stream.End
	return json.Unmarshal(end, &e) == nil && e.Stream
}

// Stays implements controller.Reader.
func (r *webReading) Stays() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		r.release() // an error is the next event's, too
	}
	return r.reading.Stays()
}

// endStream ends the stream when the run has, and reports whether there is one.
func (r *webReading) endStream(done *bus.Completed) bool {
	r.reading.mu.Lock()
	begun := r.items.Begun() || r.endData != nil && isStream(r.endData)
	if !begun {
		r.stop() // the answer is another's to write
	}
	r.reading.mu.Unlock()
	return begun && r.end(done)
}
