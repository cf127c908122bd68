package wire

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// unsent is how long a sender may pause within a request's body before the request
// is refused. Else who has a token could hold connections for ever.
const unsent = 30 * time.Second

// A heardBody is a request's body whose sender must not fall silent.
type heardBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// hear makes r's body one that ends with an error when nothing comes of it for unsent.
func hear(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || isWhole(r.Body) {
		return
	}
	r.Body = &heardBody{r.Body, http.NewResponseController(w)}
}

// isWhole reports whether all of a body is here already; see http1.
func isWhole(body io.Reader) bool {
	b, known := body.(interface{ Whole() bool })
	return known && b.Whole()
}

func (b *heardBody) Read(p []byte) (int, error) {
	// A ResponseWriter that knows no deadlines has no sender that could fall silent.
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
