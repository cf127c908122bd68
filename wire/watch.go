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
// Whose token is limited to a namespace sees the functions of that one only.
func (h *Handler) status(w http.ResponseWriter, r *http.Request, p Principal) error {
	if !strings.Contains(first(r.Header, "Accept"), typeNDJSON) {
		return h.statusOnce(w, r, p)
	}
	return h.statusStream(w, r, p)
}

func (h *Handler) statusOnce(w http.ResponseWriter, r *http.Request, p Principal) error {
	var now function.Status
	err := h.cfg.Host.Watch(r.Context(), func(s function.Status) error {
		now = seenBy(p, s)
		return errSeen
	})
	if err != nil && !errors.Is(err, errSeen) {
		return err
	}
	return writeJSON(w, now)
}

// seenBy returns what p may see of a status.
func seenBy(p Principal, s function.Status) function.Status {
	if p.Namespace == "" {
		return s
	}
	all := s.Functions
	s.Functions = nil
	for _, f := range all {
		if f.Namespace == p.Namespace {
			s.Functions = append(s.Functions, f)
		}
	}
	return s
}

// statusStream ends with the client, the handler, or the token.
func (h *Handler) statusStream(w http.ResponseWriter, r *http.Request, p Principal) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.watching, cancel)()
	defer p.onEnd(cancel)()
	begun := false
	err := h.cfg.Host.Watch(ctx, func(s function.Status) error {
		line, err := json.Marshal(seenBy(p, s))
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
	if ctx.Err() == nil {
		h.log.Warn("a status stream ended early", "error", err)
	}
	return nil
}
