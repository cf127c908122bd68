package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// errSeen ends a Watch that was for one status only.
var errSeen = errors.New("one status was enough")

// status serves GET /status: once as JSON, or as lines of JSON, pushed on change,
// to who accepts NDJSON.
func (h *Handler) status(w http.ResponseWriter, r *http.Request, _ Principal) error {
	if !strings.Contains(first(r.Header, "Accept"), typeNDJSON) {
		return h.statusOnce(w, r)
	}
	return h.statusStream(w, r)
}

func (h *Handler) statusOnce(w http.ResponseWriter, r *http.Request) error {
	var now function.Status
	err := h.cfg.Host.Watch(r.Context(), func(s function.Status) error {
		now = s
		return errSeen
	})
	if err != nil && !errors.Is(err, errSeen) {
		return err
	}
	return writeJSON(w, now)
}

func (h *Handler) statusStream(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.watching, cancel)()
	begun := false
	err := h.cfg.Host.Watch(ctx, func(s function.Status) error {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			w.Header()["Content-Type"] = []string{typeNDJSON}
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	})
	if !begun && err != nil {
		return err
	}
	if r.Context().Err() == nil && h.watching.Err() == nil {
		h.log.Warn("a status stream ended early", "error", err)
	}
	return nil
}
