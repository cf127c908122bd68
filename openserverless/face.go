package openserverless

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A Config says what a Face stands before.
type Config struct {
	// Host runs the functions.
	Host function.Host
	// Namespace is whose all functions are: the clients show no token that
	// could say.
	Namespace string
	// Kind is the functions' kind, "python:3", unless their main says another.
	Kind string
	// Dir is a private directory for what the Face keeps on disk. It is made if
	// missing.
	Dir string
	// Idle is how long a client may be silent before its lease ends; 0 means
	// DefaultIdle. For six times as long its next run starts the function again
	// unnoticed; then the client is forgotten.
	Idle time.Duration
	// Body bounds the bodies of runs; zero means function.DefaultBodyLimits.
	Body function.BodyLimits
	// MaxResult bounds a run's result, in bytes; 0 means DefaultMaxResult.
	MaxResult int
	// Log takes what the operator should know; nil discards it.
	Log *slog.Logger
}

const (
	// DefaultIdle is how long OpenWhisk keeps a container that is not called.
	DefaultIdle = 10 * time.Minute
	// DefaultMaxResult is the largest result in bytes, as package runtime has it.
	DefaultMaxResult = 16 << 20

	maxSessions     = 10_000
	maxSessionBytes = 256 << 20
)

// A Face answers the /init, /run and /stop of OpenServerless's clients. It is an
// http.Handler.
type Face struct {
	cfg      Config
	sessions *sessions
}

// NewFace returns a Face that knows the clients of an earlier one with the same
// directory. It needs no closing: it has no goroutines, and its leases end by themselves.
func NewFace(cfg Config) (*Face, error) {
	cfg.Idle = cmp.Or(cfg.Idle, DefaultIdle)
	cfg.MaxResult = cmp.Or(cfg.MaxResult, DefaultMaxResult)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Body == (function.BodyLimits{}) {
		cfg.Body = function.DefaultBodyLimits
	}
	example := function.Spec{Namespace: cfg.Namespace, Action: "any", Kind: cfg.Kind, Main: "main"}
	if err := example.Check(); err != nil {
		return nil, err
	}
	if strings.Contains(cfg.Namespace, "/") { // it parts the namespace from the action in what people read
		return nil, fmt.Errorf("the namespace %q has a slash; write demo, not /demo", cfg.Namespace)
	}
	f := &Face{cfg: cfg}
	if err := os.RemoveAll(f.codeDir()); err != nil {
		return nil, fmt.Errorf("removing what an earlier server left: %w", err)
	}
	files := sessionFiles{dir: filepath.Join(cfg.Dir, "sessions"), log: cfg.Log}
	var err error
	f.sessions, err = openSessions(files, cfg.Namespace, limits{idle: cfg.Idle, sessions: maxSessions, bytes: maxSessionBytes})
	return f, err
}

// codeDir is where code is while it comes in.
func (f *Face) codeDir() string { return filepath.Join(f.cfg.Dir, "code") }

// claim is what the Face shows to the Host for a client.
func (f *Face) claim(s *session) function.Claim {
	return function.Claim{Lease: s.lease, Namespace: f.cfg.Namespace}
}

func (f *Face) leaseOf(s *session) function.Lease {
	return function.Lease{ID: s.lease, TTL: f.cfg.Idle}
}

// ServeHTTP answers a request.
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		sendRefusal(w, r, refuse(http.StatusForbidden, "A web page must not call this address: it runs any code that it is sent."))
		return
	}
	serve, method := f.endpoint(r.URL.Path)
	if serve == nil {
		sendRefusal(w, r, refuse(http.StatusNotFound, "There is nothing at this path; OpenServerless's clients are answered at /init, /run and /stop."))
		return
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		sendRefusal(w, r, refuse(http.StatusMethodNotAllowed, "The method must be %s.", method))
		return
	}
	hear(w, r)
	answer, err := serve(r)
	if err != nil {
		sendRefusal(w, r, refusalOf(err))
		return
	}
	send(w, http.StatusOK, answer)
}

// endpoint returns what serves a path, and for which method.
func (f *Face) endpoint(path string) (serve func(*http.Request) ([]byte, error), method string) {
	switch {
	case path == "/init":
		return f.serveInit, http.MethodPost
	case path == "/run":
		return f.serveRun, http.MethodPost
	case strings.HasSuffix(path, "/stop"): // their client puts it behind the path that main has, if any
		return f.serveStop, http.MethodPost
	case path == "/healthz":
		return func(*http.Request) ([]byte, error) { return []byte(`{"status":"ok"}`), nil }, http.MethodGet
	}
	return nil, ""
}

// okAnswer is what /init and /stop answer.
var okAnswer = []byte(`{"ok":true}`)
