package runtime

import (
	"errors"

	"github.com/whiskaway/whiskaway/function"
)

// An output takes what one run gives back: it passes the logs on, and collects
// the result. It is reused for later runs.
type output struct {
	logs   runLogs
	result result
}

// Write implements function.Output.
func (o *output) Write(s function.Stream, p []byte) error {
	switch s {
	case function.Stdout:
		o.logs.write(stdout, p)
	case function.Stderr:
		o.logs.write(stderr, p)
	case function.Result:
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

// isCollection reports whether the result is a JSON object or array, by its
// first byte: OpenWhisk takes nothing else.
func (r *result) isCollection() bool {
	for _, b := range r.buf {
		switch b {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return b == '{' || b == '['
	}
	return false
}

// items returns a streamed result as one object, {"items":[…]}.
func (r *result) items() []byte {
	const head, tail = `{"items":[`, `]}`
	all := make([]byte, 0, len(head)+len(r.buf)+len(r.ends)+len(tail))
	all = append(all, head...)
	start := 0
	for i, end := range r.ends {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, r.buf[start:end]...)
		start = end
	}
	return append(all, tail...)
}
