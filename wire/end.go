package wire

import (
	"encoding/json"

	"github.com/whiskaway/whiskaway/function"
)

// An end is the payload of frame 0. Refused is set when the host refused the run
// after the status line had left, too late for Whiskaway-Started: it says the
// same. Who does not know the field reads a lost run.
type end struct {
	function.Summary
	Refused *refusal `json:"refused,omitempty"`
}

// append appends the end as JSON.
func (e *end) append(b []byte) []byte {
	if e.Refused == nil {
		return e.Summary.AppendJSON(b)
	}
	text, _ := json.Marshal(e) // strings and numbers: cannot fail
	return append(b, text...)
}

// parseEnd reads the payload of frame 0, and reports whether it is one.
func parseEnd(text []byte) (e end, ok bool) {
	if e.Summary.ParseJSON(text) {
		return e, e.Outcome != ""
	}
	e = end{}
	err := json.Unmarshal(text, &e)
	return e, err == nil && e.Outcome != ""
}
