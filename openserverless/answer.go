package openserverless

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// unsent is how long a client may pause within a request's body, and unread
	// how long it may take to read an answer, with a second more for each slowest
	// bytes of it. Else it could hold connections for ever.
	unsent  = 30 * time.Second
	unread  = 30 * time.Second
	slowest = 64 << 10
)

// send writes an answer. OpenWhisk takes none without a Content-Length.
func send(w http.ResponseWriter, status int, body []byte) {
	limit := unread + time.Duration(len(body)/slowest)*time.Second
	rc := http.NewResponseController(w)
	rc.SetWriteDeadline(time.Now().Add(limit)) // one that knows no deadlines has no client that could hold it up
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // the client has left if this fails
	rc.Flush()
	rc.SetWriteDeadline(time.Time{}) // the connection's next answer has its own
}

// sendRefusal answers with an error. What is left of the request is read first, up to a
// bound: its sender would otherwise find the connection reset before it reads why.
func sendRefusal(w http.ResponseWriter, r *http.Request, why *refusal) {
	const most, patience = 64 << 20, 10 * time.Second
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	body := r.Body
	if heard, ok := body.(*heardBody); ok {
		body = heard.ReadCloser // it has a patience of its own
	}
	io.CopyN(io.Discard, body, most)
	send(w, why.status, compose([][]byte{textField("error", why.text)}))
}

// A heardBody is a request's body whose sender must not fall silent.
type heardBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// hear makes r's body one that ends with an error when nothing comes of it for unsent.
func hear(w http.ResponseWriter, r *http.Request) {
	r.Body = &heardBody{r.Body, http.NewResponseController(w)}
}

func (b *heardBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(time.Now().Add(unsent))
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF: // net/http now waits for the sender to leave, as long as it takes
		b.rc.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = function.Errorf(function.CodeBadRequest, "nothing came for %v", unsent)
	}
	return n, err
}
