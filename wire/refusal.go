package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A refusal is an error as it crosses the wire.
type refusal struct {
	Error   string        `json:"error"`
	Code    function.Code `json:"code"`
	Logs    string        `json:"logs,omitempty"`
	RetryMS int64         `json:"retry_ms,omitempty"` // Retry-After, but exact
	Unbuilt bool          `json:"unbuilt,omitempty"`
}

func refusalOf(err error) refusal {
	e := function.AsError(err)
	return refusal{Error: err.Error(), Code: e.Code, Logs: e.Logs, RetryMS: e.RetryAfter.Milliseconds(), Unbuilt: e.Unbuilt}
}

func (r refusal) err() *function.Error {
	return &function.Error{
		Code: r.Code, Message: r.Error, Logs: r.Logs, Unbuilt: r.Unbuilt,
		RetryAfter: time.Duration(r.RetryMS) * time.Millisecond,
	}
}

// refuse answers with err, and says that nothing was started.
func refuse(w http.ResponseWriter, err error) {
	w.Header()[headerStarted] = []string{"no"}
	writeRefusal(w, statusOf(function.CodeOf(err)), err)
}

func writeRefusal(w http.ResponseWriter, status int, err error) {
	r := refusalOf(err)
	header := w.Header()
	header["Content-Type"] = []string{typeJSON}
	if r.RetryMS > 0 {
		header["Retry-After"] = []string{strconv.FormatInt((r.RetryMS+999)/1000, 10)}
	}
	if status == http.StatusUnauthorized {
		header["Www-Authenticate"] = []string{"Bearer"}
	}
	body, _ := json.Marshal(r) // strings and a number: cannot fail
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // who does not listen cannot be told
}

// maxRefusal bounds what is read of an error's body; the logs of a failed start
// are in it.
const maxRefusal = 4 << 20

// refusalFrom reads the error that an answer carries.
func refusalFrom(resp *http.Response, host string) *function.Error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var r refusal
	if err == nil && json.Unmarshal(text, &r) == nil && r.Code != "" {
		return r.err()
	}
	e := function.Errorf(codeOf(resp.StatusCode), "%s", foreignAnswer(resp, host))
	if seconds, err := strconv.ParseInt(first(resp.Header, "Retry-After"), 10, 32); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// foreignAnswer says what came instead of an answer of Whiskaway's.
func foreignAnswer(resp *http.Response, host string) string {
	status := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if to := first(resp.Header, "Location"); to != "" && resp.StatusCode/100 == 3 {
		return fmt.Sprintf("%s answered with a redirect to %s, which is not followed, because the token is not for there; use that address if it is right", host, to)
	}
	if first(resp.Header, headerVersion) == "" {
		return fmt.Sprintf("%s answered %s, but not as Whiskaway does; is the address right, or is there a proxy in between?", host, strings.TrimSpace(status))
	}
	return fmt.Sprintf("%s answered %s", host, strings.TrimSpace(status))
}
