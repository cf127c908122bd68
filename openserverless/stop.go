package openserverless

import (
	"errors"
	"io"
	"net/http"

	"github.com/whiskaway/whiskaway/function"
)

// maxStop bounds the body of a /stop, in bytes.
const maxStop = 64 << 10

// serveStop ends one client's session. The function stays for the others.
func (f *Face) serveStop(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxStop+1))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body ended early: %v.", err)
	}
	if len(text) > maxStop {
		return nil, refuse(http.StatusRequestEntityTooLarge, "The body of /stop has at most %d bytes.", maxStop)
	}
	fields, err := members(text)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body of /stop is not what was expected: %v.", err)
	}
	n, _, err := splitNames(fields)
	if err != nil {
		return nil, err
	}
	s, err := f.sessions.stop(n)
	if s == nil {
		return nil, err
	}
	f.release(r.Context(), s)
	if err != nil { // the session is gone all the same, but its file could come back
		return nil, function.AsError(errors.Join(errors.New("the session was stopped"), err))
	}
	return okAnswer, nil
}
