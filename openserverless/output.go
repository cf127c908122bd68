package openserverless

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// An output collects what one run gives back. How long the logs may be is the
// Host's to bound.
type output struct {
	limit    int // of the result, in bytes
	logs     [2][]byte
	result   []byte
	ends     []int // where each frame of the result ends
	tooLarge bool
}

const (
	stdout = 0
	stderr = 1
)

var errResultTooLarge = errors.New("the result is above the limit")

// Write implements function.Output.
func (o *output) Write(s function.Stream, p []byte) error {
	switch s {
	case function.Stdout:
		o.logs[stdout] = append(o.logs[stdout], p...)
	case function.Stderr:
		o.logs[stderr] = append(o.logs[stderr], p...)
	case function.Result:
		if len(p) == 0 {
			return nil
		}
		if len(o.result)+len(p) > o.limit {
			o.tooLarge = true
			return errResultTooLarge
		}
		o.result = append(o.result, p...)
		o.ends = append(o.ends, len(o.result))
	}
	return nil
}

// answer is what their client gets of a run that may have started, and had limit.
func (o *output) answer(sum function.Summary, limit time.Duration) ([]byte, error) {
	response := o.result
	switch {
	case o.tooLarge:
		return nil, o.failed(fmt.Sprintf("The action's result is above the limit of %d bytes.", o.limit))
	case sum.Outcome != function.OutcomeOK:
		return nil, o.failed(outcomeText(sum, limit))
	case sum.Stream:
		response = stream.Collect(o.result, o.ends)
	}
	if !isCollection(response) {
		return nil, o.failed("The action did not return a dictionary or array.")
	}
	return compose([][]byte{
		append([]byte(`"response":`), response...),
		textField("out", guarded(o.logs[stdout])), textField("err", guarded(o.logs[stderr])),
	}), nil
}

// isCollection reports whether text is a JSON object or array: OpenWhisk takes
// nothing else, and their client could not read the answer that another stood in.
func isCollection(text []byte) bool {
	text = bytes.TrimLeft(text, space)
	return len(text) > 0 && (text[0] == '{' || text[0] == '[') && json.Valid(text)
}

// The guard ends a run's logs on each stream. A platform takes it for the end wherever
// it stands, so what only looks like it is broken.
const (
	guard  = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
	broken = "XXX_THE_END_OF_A_WHISK_ACTIVATION_X XX"
)

// guarded returns logs with their guard line.
func guarded(logs []byte) string {
	text := string(bytes.ReplaceAll(logs, []byte(guard), []byte(broken)))
	if text != "" && text[len(text)-1] != '\n' {
		text += "\n"
	}
	return text + guard + "\n"
}

// failed answers a run that gave no result. Its logs can only go into the text.
func (o *output) failed(text string) error {
	return refuse(http.StatusBadGateway, "%s%s%s", text, quoteLogs("stdout", o.logs[stdout]), quoteLogs("stderr", o.logs[stderr]))
}

// maxQuoted bounds what an error quotes of one stream, in bytes: OpenWhisk takes no
// answer above 1 MB.
const maxQuoted = 64 << 10

// quoteLogs returns the end of some logs as a part of an error's text.
func quoteLogs(name string, logs []byte) string {
	logs = bytes.TrimRight(bytes.ReplaceAll(logs, []byte(guard), []byte(broken)), "\n")
	if len(logs) == 0 {
		return ""
	}
	if cut := len(logs) - maxQuoted; cut > 0 {
		return fmt.Sprintf("\n--- %s (without its first %d bytes) ---\n%s", name, cut, logs[cut:])
	}
	return fmt.Sprintf("\n--- %s ---\n%s", name, logs)
}

// outcomeText says how a run ended that gave no result.
func outcomeText(sum function.Summary, limit time.Duration) string {
	text := map[function.Outcome]string{
		function.OutcomeTimeout:   "The action was ended at its time limit.",
		function.OutcomeCrashed:   "The action ended without an answer.",
		function.OutcomeCancelled: "The action was cancelled.",
		function.OutcomeTooLarge:  "The action's result is too large.",
		function.OutcomeLost:      "The machine that ran the action was lost; it may have run, so it is not repeated.",
	}[sum.Outcome]
	switch {
	case sum.Outcome == function.OutcomeTimeout && limit > 0:
		text = fmt.Sprintf("The action was ended at its time limit; it had %d milliseconds.", limit.Milliseconds())
	case text == "":
		text = fmt.Sprintf("The action ended in a way that is not known here, %q.", sum.Outcome)
	}
	if sum.Error == "" {
		return text
	}
	return text + " " + sum.Error
}
