package wire

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A HandlerConfig says what a Handler stands before.
type HandlerConfig struct {
	// Host does the work.
	Host function.Host
	// Auth says whose a token is.
	Auth Authorizer
	// Tokens are managed by /tokens. nil: not from afar.
	Tokens TokenKeeper
	// Join is called for every server that dials home, and returns when ctx
	// ends or the server shall be dropped. nil: servers cannot join here.
	Join func(ctx context.Context, j Joining) error
	// Body bounds a run's input; the zero value means function.DefaultBodyLimits.
	Body function.BodyLimits
	// Ready says why the host cannot serve now, for /readyz; nil: it always can.
	Ready func() error
	// Log gets what went wrong on this side; nil: nowhere.
	Log *slog.Logger
}

// A Handler is the face of a Host: it serves HTTP.
type Handler struct {
	cfg HandlerConfig
	log *slog.Logger
	// watching ends when the status streams must.
	watching     context.Context
	stopWatching context.CancelFunc
	members      *members
	answers      answerPool
	unpackers    chan struct{} // holds one for each upload that is unpacked
	// Header values that answers have; shared, so never changed.
	version, framesType, encodings []string
}

// NewHandler returns a Handler. Close it when no request is under way any more.
func NewHandler(cfg HandlerConfig) *Handler {
	if cfg.Body == (function.BodyLimits{}) {
		cfg.Body = function.DefaultBodyLimits
	}
	h := &Handler{
		cfg: cfg, log: orDiscard(cfg.Log), unpackers: make(chan struct{}, maxUnpackers),
		version: []string{Version}, framesType: []string{typeFrames}, encodings: []string{encodingZstd},
	}
	h.watching, h.stopWatching = context.WithCancel(context.Background())
	h.answers.unread = unread
	h.members = newMembers(cfg.Join, h.log)
	return h
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// StopWatches ends the status streams, which would otherwise keep a graceful
// shutdown waiting.
func (h *Handler) StopWatches() { h.stopWatching() }

// Close drops the servers that have joined, waits until their Join calls have
// returned, and ends the status streams.
func (h *Handler) Close() {
	h.stopWatching()
	h.members.close()
}

// ServeHTTP finds the endpoint, asks whether the token is good for it, and lets
// it serve.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()[headerVersion] = h.version
	e, found := endpointOf(r.URL.Path, r.Method)
	if !found {
		h.refuseStatus(w, r, http.StatusNotFound, "there is nothing at %s; this is a Whiskaway host", r.URL.Path)
		return
	}
	if r.Method != e.method && !(r.Method == http.MethodHead && e.method == http.MethodGet) {
		w.Header()["Allow"] = e.allowed(r.URL.Path)
		h.refuseStatus(w, r, http.StatusMethodNotAllowed, "%s wants %s, not %s", r.URL.Path, e.method, r.Method)
		return
	}
	defer h.recover(w, r)
	p, err := h.admit(r, e)
	if err == nil {
		hear(w, r)
		err = e.serve(h, w, r, p)
	}
	if err != nil {
		skipBody(w, r)
		refuse(w, err)
	}
}

func (h *Handler) refuseStatus(w http.ResponseWriter, r *http.Request, status int, format string, args ...any) {
	skipBody(w, r)
	w.Header()[headerStarted] = []string{"no"}
	writeRefusal(w, status, function.Errorf(function.CodeBadRequest, format, args...))
}

// admit says who asks, or why they may not.
func (h *Handler) admit(r *http.Request, e endpoint) (Principal, error) {
	if err := checkOnce(r.Header); err != nil {
		return Principal{}, err
	}
	if err := checkVersion(r.Header); err != nil {
		return Principal{}, err
	}
	if e.needs == forAnyone {
		return Principal{}, nil
	}
	p, err := h.cfg.Auth.Authorize(bearer(r.Header))
	if err != nil {
		return Principal{}, err
	}
	if !e.needs.allows(p.Role) {
		return Principal{}, function.Errorf(function.CodeForbidden, "a token of the role %q is not good for %s", p.Role, r.URL.Path)
	}
	return p, nil
}

// bearer returns the token that a request carries, or "".
func bearer(h http.Header) string {
	const scheme = "Bearer "
	value := first(h, "Authorization")
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return ""
	}
	return strings.TrimSpace(value[len(scheme):])
}

// recover ends a request whose handling panicked: with a 500 if nothing was
// answered yet, or else with a cut. Neither says that nothing was started.
func (h *Handler) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	h.logPanic(r.URL.Path, v)
	if w.Header().Get("Content-Type") != "" {
		panic(http.ErrAbortHandler) // the answer had begun
	}
	writeRefusal(w, http.StatusInternalServerError, function.Errorf(function.CodeInternal, "the host failed; its log says why"))
}

func (h *Handler) logPanic(path string, v any) {
	h.log.Error("a panic was caught", "path", path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// skipBody reads what is left of a refused request's body, up to a bound: a sender
// that is still writing would otherwise find the connection reset before it
// reads why.
func skipBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	const most, patience = 4 << 20, 5 * time.Second
	body := r.Body
	if heard, ok := body.(*heardBody); ok {
		body = heard.ReadCloser // it has a patience of its own
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	io.CopyN(io.Discard, body, most)
}
