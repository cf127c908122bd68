package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// body reads the whole body, at most limit bytes. It must be UTF-8, as JSON is.
func (q *request) body(limit int64) ([]byte, error) {
	data, err := q.bytes(limit)
	if err == nil && !utf8.Valid(data) {
		return nil, controller.Malformed("the body is not UTF-8")
	}
	return data, err
}

// longBody is how long a body may take without its sender's key being looked at again: who loses his key has lost it
// for what he has begun to send, too.
const longBody = 500 * time.Millisecond

func (q *request) bytes(limit int64) ([]byte, error) {
	began := time.Now()
	data, err := q.allBytes(limit)
	if err == nil && q.again != nil && time.Since(began) > longBody {
		err = q.again()
	}
	return data, err
}

func (q *request) allBytes(limit int64) ([]byte, error) {
	if q.ContentLength > limit {
		q.drain()
		return nil, controller.TooLarge("Request", q.ContentLength, limit)
	}
	body, whole := q.patiently()
	if q.ContentLength > 0 && q.ContentLength <= 64<<10 { // one exact buffer
		data := make([]byte, q.ContentLength)
		if _, err := io.ReadFull(body, data); err != nil {
			return nil, q.bodyError(err, limit)
		}
		whole()
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(q.w, body, limit))
	if err == nil {
		whole()
		return data, nil
	}
	if err = q.bodyError(err, limit); err != error(errSlow) {
		q.drain()
	}
	return nil, err
}

// A slowly coming body is waited for, but not for ever: connections are not free.
const (
	bodySilence = time.Minute      // without a byte of it
	bodyWithin  = 15 * time.Minute // for all of it
)

var errSlow = controller.Refuse(http.StatusRequestTimeout, "The request's body did not come in time: it may pause for a minute, and take 15.")

// patiently returns the body for whoever reads all of it, and what is to be called when that is done. When it
// is not, the deadline stays: what is left of the body is waited for no longer.
func (q *request) patiently() (body io.ReadCloser, whole func()) {
	if here, ok := q.Body.(interface{ Whole() bool }); q.ContentLength == 0 || ok && here.Whole() {
		return q.Body, func() {}
	}
	b := &patientBody{ReadCloser: q.Body, conn: http.NewResponseController(q.w), silence: q.silence, until: time.Now().Add(bodyWithin)}
	return b, func() { b.conn.SetReadDeadline(time.Time{}) }
}

// A patientBody waits for each of its parts for a while.
type patientBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	silence time.Duration
	until   time.Time
}

func (b *patientBody) Read(p []byte) (int, error) {
	deadline := time.Now().Add(b.silence)
	if deadline.After(b.until) {
		deadline = b.until
	}
	b.conn.SetReadDeadline(deadline) // an error: there is no connection, as in tests
	return b.ReadCloser.Read(p)
}

// What is read of a body that is refused, at most.
const (
	drainBytes = 256 << 20
	drainFor   = 5 * time.Second
)

// drain reads what nobody wants: many clients look for an answer only when they
// have sent everything. Who asked whether to send it is told no.
func (q *request) drain() {
	if q.Header.Get("Expect") != "" {
		return
	}
	http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainFor))
	io.CopyN(io.Discard, q.Body, drainBytes)
	q.w.Header().Set("Connection", "close")
}

func (q *request) bodyError(err error, limit int64) error {
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		q.w.Header().Set("Connection", "close")
		return errSlow
	case errors.As(err, &tooLarge):
		return controller.TooLarge("Request", limit+1, limit)
	}
	return controller.Malformed("the body ended early: %v", err)
}

// decode reads the body into v; an empty one leaves v as it is.
func (q *request) decode(v any, limit int64) error {
	data, err := q.body(limit)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return controller.Malformed("%s", jsonProblem(err))
	}
	return nil
}

// jsonProblem describes err without the names that only this program knows.
func jsonProblem(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	value, _, _ := strings.Cut(wrong.Value, " ")
	if wrong.Field == "" {
		return "the body must be an object, not a JSON " + value
	}
	field := strings.ReplaceAll("."+wrong.Field, ".Put.", ".")[1:]
	return "'" + field + "' must not be a JSON " + value
}

// flag reads a parameter that is true or false.
func (q *request) flag(name string, otherwise bool) (bool, error) {
	switch value := q.query.Get(name); value {
	case "":
		return otherwise, nil
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	default:
		return false, controller.Refuse(http.StatusBadRequest, "The query parameter '%s' was malformed:\n'%s' is not a valid Boolean value", name, value)
	}
}

// OpenWhisk's limits for lists.
const (
	listDefault = 30
	listMax     = 200
)

// page reads limit and skip; a limit of 0 asks for the most.
func (q *request) page(collection string) (controller.Page, error) {
	p := controller.Page{Limit: listDefault}
	var err error
	if text := q.query.Get("limit"); text != "" {
		if p.Limit, err = strconv.Atoi(text); err != nil {
			return p, malformedQuery("limit", "The value '%s' is not an integer for %s.", text, collection)
		}
		if p.Limit < 0 || p.Limit > listMax {
			return p, malformedQuery("limit", "The value '%d' is not in the range of 0 to %d for %s.", p.Limit, listMax, collection)
		}
	}
	if p.Limit == 0 {
		p.Limit = listMax
	}
	if text := q.query.Get("skip"); text != "" {
		if p.Skip, err = strconv.Atoi(text); err != nil {
			return p, malformedQuery("skip", "The value '%s' is not an integer for %s.", text, collection)
		}
		if p.Skip < 0 {
			return p, malformedQuery("skip", "The value '%d' is not greater than or equal to 0 for %s.", p.Skip, collection)
		}
	}
	return p, nil
}

func malformedQuery(name, format string, args ...any) error {
	refused := controller.Refuse(http.StatusBadRequest, format, args...)
	refused.Message = "The query parameter '" + name + "' was malformed:\n" + refused.Message
	return refused
}

// epoch reads milliseconds since 1970; 0: not said.
func (q *request) epoch(name string) (int64, error) {
	text := q.query.Get(name)
	if text == "" {
		return 0, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, malformedQuery(name, "Parameter is not a valid value for epoch seconds: %s", text)
	}
	return ms, nil
}

// maxWait is how long a blocking invocation waits at most.
const maxWait = time.Minute

// wait reads how long an invocation is to wait for its end; 0: not at all.
func (q *request) wait() (time.Duration, error) {
	blocking, err := q.flag("blocking", false)
	if err != nil {
		return 0, err
	}
	wait := maxWait
	if text := q.query.Get("timeout"); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms <= 0 || ms > maxWait.Milliseconds() {
			return 0, malformedQuery("timeout", "Timeout must be number of milliseconds up to %d.", maxWait.Milliseconds())
		}
		wait = time.Duration(ms) * time.Millisecond
	}
	if !blocking {
		return 0, nil
	}
	return wait, nil
}
