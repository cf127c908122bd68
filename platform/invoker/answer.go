package invoker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/store"
)

// OpenWhisk's words for what may go wrong.
const (
	msgAbnormalInit   = "The action did not initialize and exited unexpectedly."
	msgAbnormalRun    = "The action did not produce a valid response and exited unexpectedly."
	msgNotDictionary  = "The action did not return a dictionary or array."
	msgTooLarge       = "The action produced a response that exceeded the allowed length: %d > %d bytes. The truncated response was: %s"
	msgProvision      = "Failed to provision resources to run the action."
	msgActionRemoved  = "Action could not be found or may have been deleted."
	msgActionFetch    = "Action could not be fetched."
	msgNoRoom         = "No container could be had for the action in time: all are busy. Try again later."
	msgRefusedTwice   = "The action was refused by two containers: %s"
	msgReaderLeft     = "The caller who read the result as a stream has left, and the action was ended."
	msgInvokerStopped = "The platform was stopped before the action ended."
	msgKilled         = "The platform was killed while the action ran. The action may have run to its end, or in part; it is not run again."
	msgInvokerGone    = "The invoker that had the action ended before it told what became of it. The action may have run; it is not run again."
	msgNotClaimed     = "The action was not run: the platform could not write down that it was about to run it: %v"
)

// A verdict is what an activation came to.
type verdict struct {
	status int
	result json.RawMessage
}

func failed(status int, format string, args ...any) verdict {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	quoted, err := store.Encode(text)
	if err != nil { // cannot be: any string can be encoded
		quoted = []byte(`"error"`)
	}
	return failedWith(status, quoted)
}

func failedWith(status int, reason json.RawMessage) verdict {
	result := make([]byte, 0, len(reason)+12)
	result = append(result, `{"error":`...)
	result = append(result, reason...)
	return verdict{status, append(result, '}')}
}

// timedOut is the verdict on an action that took longer than its limit.
func timedOut(limit time.Duration, init bool) verdict {
	end := "."
	if init {
		end = " during initialization."
	}
	return failed(store.StatusDeveloperError, "The action exceeded its time limits of %d milliseconds%s", limit.Milliseconds(), end)
}

// judgeInit says what an answer to /init means; ok: the container is ready.
func judgeInit(ans answer, limit int64) (v verdict, ok bool) {
	switch {
	case ans.length < 0 || ans.status == http.StatusNoContent:
		return failed(store.StatusDeveloperError, msgAbnormalInit), false
	case ans.truncated:
		return failed(store.StatusDeveloperError, msgTooLarge, ans.length, limit, text(ans.body)), false
	case ans.status == http.StatusOK:
		return verdict{}, true
	}
	return withReason("The action failed during initialization", ans.body), false
}

// judgeRun says what an answer to /run means.
func judgeRun(ans answer, limit int64) verdict {
	switch {
	case ans.length < 0 || ans.status == http.StatusNoContent:
		return failed(store.StatusDeveloperError, msgAbnormalRun)
	case ans.truncated:
		return failed(store.StatusApplicationError, msgTooLarge, ans.length, limit, text(ans.body))
	case ans.status != http.StatusOK:
		return withReason("The action did not produce a valid JSON response", ans.body)
	}
	body := bytes.TrimSpace(ans.body)
	if !utf8.Valid(body) { // it would spoil the record for whoever reads it
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	switch {
	case !json.Valid(body):
		return withReason("The action did not produce a valid JSON response", ans.body)
	case body[0] == '[':
		return verdict{store.StatusSuccess, body}
	case body[0] != '{':
		return failed(store.StatusDeveloperError, msgNotDictionary)
	}
	if reason := member(body, "error"); reason != nil {
		return failedWith(store.StatusApplicationError, reason)
	}
	return verdict{store.StatusSuccess, body}
}

// withReason is a developer error in the container's own words, if it has any.
func withReason(what string, body []byte) verdict {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
		if reason := member(trimmed, "error"); reason != nil {
			return failedWith(store.StatusDeveloperError, bytes.ToValidUTF8(reason, []byte("\uFFFD")))
		}
	}
	if len(trimmed) == 0 {
		return failed(store.StatusDeveloperError, "%s.", what)
	}
	return failed(store.StatusDeveloperError, "%s: %s", what, text(trimmed))
}

// text returns b without the beginning of a character that was cut at its end.
func text(b []byte) string {
	for i := 0; i < utf8.UTFMax && len(b) > 0; i++ {
		if r, size := utf8.DecodeLastRune(b); r != utf8.RuneError || size > 1 {
			break
		}
		b = b[:len(b)-1]
	}
	return string(b)
}

// member returns the value of the named member of a valid JSON object, or nil.
// The last one counts, as everywhere. Nothing is copied, and nothing is decoded but
// the names that are written with escapes.
func member(object []byte, name string) (value json.RawMessage) {
	i := skipSpace(object, 1)
	for i < len(object) && object[i] == '"' {
		keyEnd := skipString(object, i)
		key := object[i:keyEnd]
		start := skipSpace(object, skipSpace(object, keyEnd)+1) // past the colon
		end := skipValue(object, start)
		if named(key, name) {
			value = bytes.TrimRight(object[start:end], " \t\r\n")
		}
		i = skipSpace(object, end)
		if i < len(object) && object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
	return value
}

func named(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == name
	}
	var key string
	return json.Unmarshal(quoted, &key) == nil && key == name
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the place after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(b))
}

// skipValue returns the place of the comma or brace after the value at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
