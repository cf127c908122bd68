package runtime

import (
	"errors"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// An output takes what one run gives back: it passes the logs on, and collects
// the result. It is reused for later runs.
type output struct {
	logs   runLogs
	result result

	// Only where the caller reads a stream:
	items      *stream.Writer
	collection bool // the last item is an object or an array
}

// Write implements function.Output.
func (o *output) Write(s function.Stream, p []byte) error {
	switch s {
	case function.Stdout:
		o.logs.write(stdout, p)
	case function.Stderr:
		o.logs.write(stderr, p)
	case function.Result:
		if o.items != nil {
			return o.item(p)
		}
		return o.result.add(p)
	}
	return nil
}

// takeOutput returns an output that nobody else uses.
func (r *Runtime) takeOutput() *output {
	if o, ok := r.outputs.Get().(*output); ok {
		return o
	}
	return &output{
		logs:   runLogs{streams: [2]*logStream{r.stdout, r.stderr}},
		result: result{limit: r.cfg.MaxResult},
	}
}

// giveOutput takes o back. Its result must not be used any more.
func (r *Runtime) giveOutput(o *output) {
	o.result.reset()
	o.items, o.collection = nil, false
	o.logs.tag = ""
	r.outputs.Put(o)
}

// A result is collected whole: the platform wants to know its length first.
type result struct {
	buf      []byte
	ends     []int // where each frame ends: the items, if it is a stream
	limit    int
	tooLarge bool
}

var errResultTooLarge = errors.New("the result is above the limit")

func (r *result) add(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(r.buf)+len(p) > r.limit {
		r.tooLarge = true
		return errResultTooLarge
	}
	r.buf = append(r.buf, p...)
	r.ends = append(r.ends, len(r.buf))
	return nil
}

// maxKept is the largest buffer that is kept for later runs.
const maxKept = 256 << 10

func (r *result) reset() {
	r.buf, r.ends, r.tooLarge = r.buf[:0], r.ends[:0], false
	if cap(r.buf) > maxKept {
		r.buf = nil
	}
	if cap(r.ends) > maxKept/8 {
		r.ends = nil
	}
}

func (r *result) isCollection() bool { return isCollection(r.buf) }

// isCollection reports whether p is a JSON object or array, by its first byte:
// OpenWhisk takes nothing else.
func isCollection(p []byte) bool {
	for _, b := range p {
		switch b {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return b == '{' || b == '['
	}
	return false
}
