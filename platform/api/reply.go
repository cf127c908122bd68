package api

import (
	"net/http"
	"strconv"

	"github.com/whiskaway/whiskaway/platform/store"
)

// A reply is a status and a body: nil for none, raw for JSON as it is, anything
// else to be encoded. Without a status the answer is written already.
type reply struct {
	status int
	body   any
}

// raw is JSON.
type raw []byte

func ok(body any) (reply, error) { return reply{http.StatusOK, body}, nil }

// answer is ok unless there is an error.
func answer[T any](body T, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(body)
}

func (rep reply) write(w http.ResponseWriter) {
	if rep.status == 0 {
		return
	}
	if rep.body == nil {
		if rep.status != http.StatusNoContent {
			w.Header().Set("Content-Length", "0")
		}
		w.WriteHeader(rep.status)
		return
	}
	data, isRaw := rep.body.(raw)
	if !isRaw {
		encoded, err := store.Encode(rep.body)
		if err != nil {
			rep.status, encoded = http.StatusInternalServerError, []byte(`{"error":"There was an internal server error."}`)
		}
		data = encoded
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(rep.status)
	w.Write(data) // an error means that the caller has left
}
