package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/function"
)

// An initRequest is the body of POST /init.
type initRequest struct {
	Spec  function.Spec `json:"spec"`
	Lease struct {
		ID    string `json:"id"`
		TTLms int64  `json:"ttl_ms"`
	} `json:"lease"`
}

// An initAnswer is what POST /init answers.
type initAnswer struct {
	ID function.ID `json:"id"`
}

// maxSpec bounds the body of POST /init, in bytes. The environment is in it.
const maxSpec = 8 << 20

// code serves PUT /code/{sha256}: the code's raw bytes, or these compressed.
func (h *Handler) code(w http.ResponseWriter, r *http.Request, p Principal) error {
	digest, err := function.ParseDigest(strings.TrimPrefix(r.URL.Path, "/code/"))
	if err != nil {
		return err
	}
	namespace, err := namespaceOf(r.Header, p)
	if err != nil {
		return err
	}
	if namespace == "" {
		return function.Errorf(function.CodeBadRequest, "the header %s is missing: code belongs to a namespace", headerNamespace)
	}
	code, done := h.rawCode(r)
	if code == nil {
		h.refuseEncoding(w, r)
		return nil
	}
	defer done()
	if err := h.cfg.Host.PutCode(r.Context(), namespace, digest, code); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// init serves POST /init: a Spec and a lease, as JSON. Its answers say in which
// encodings code may come.
func (h *Handler) init(w http.ResponseWriter, r *http.Request, p Principal) error {
	w.Header()["Accept-Encoding"] = h.encodings
	req, err := readInit(w, r)
	if err != nil {
		return err
	}
	claim := function.Claim{Namespace: p.Namespace}
	if !claim.Covers(req.Spec.Namespace) {
		return wrongNamespace(req.Spec.Namespace, p)
	}
	req.Spec.Require.Labels = withLabels(req.Spec.Require.Labels, p.Labels)
	wait, err := durationHeader(r.Header, headerTimeout)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	lease := function.Lease{ID: req.Lease.ID, TTL: time.Duration(req.Lease.TTLms) * time.Millisecond}
	id, err := h.cfg.Host.Init(ctx, req.Spec, lease)
	if err != nil {
		return err
	}
	return writeJSON(w, initAnswer{ID: id})
}

// withLabels returns what a function needs whose client's token has labels: they are
// needed too. That makes another function of it, so the answer says which one.
func withLabels(asked, tokens []string) []string {
	if len(tokens) == 0 {
		return asked
	}
	all := slices.Concat(asked, tokens)
	slices.Sort(all)
	return slices.Compact(all)
}

func readInit(w http.ResponseWriter, r *http.Request) (initRequest, error) {
	var req initRequest
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSpec))
	var tooMuch *http.MaxBytesError
	if errors.As(err, &tooMuch) {
		return req, function.Errorf(function.CodeTooLarge, "the function's description has more than %d bytes", tooMuch.Limit)
	}
	if err != nil {
		return req, function.Errorf(function.CodeBadRequest, "the function's description ended early: %v", err)
	}
	if !utf8.Valid(text) { // encoding/json would change it without a word
		return req, function.Errorf(function.CodeBadRequest, "the function's description is not UTF-8")
	}
	if err := json.Unmarshal(text, &req); err != nil {
		return req, function.Errorf(function.CodeBadRequest, "the body is not {\"spec\": …, \"lease\": {\"id\", \"ttl_ms\"}} as JSON: %v", err)
	}
	if err := req.Spec.Check(); err != nil {
		return req, err
	}
	if err := function.CheckLeaseID(req.Lease.ID); err != nil {
		return req, err
	}
	if req.Lease.TTLms < 0 || req.Lease.TTLms > maxMillis {
		return req, function.Errorf(function.CodeBadRequest, "the lease's ttl_ms, %d, is no possible time to live", req.Lease.TTLms)
	}
	if req.Lease.TTLms == 0 {
		req.Lease.TTLms = function.DefaultLeaseTTL.Milliseconds()
	}
	return req, nil
}

// renew serves POST /renew: the function, the lease and its time, as headers.
func (h *Handler) renew(w http.ResponseWriter, r *http.Request, p Principal) error {
	id, claim, err := claimOf(r.Header, p)
	if err != nil {
		return err
	}
	ttl, err := durationHeader(r.Header, headerTTL)
	if err != nil {
		return err
	}
	if ttl == 0 {
		ttl = function.DefaultLeaseTTL
	}
	if err := h.cfg.Host.Renew(r.Context(), id, claim, ttl); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// stop serves POST /stop: the function and the lease, as headers.
func (h *Handler) stop(w http.ResponseWriter, r *http.Request, p Principal) error {
	id, claim, err := claimOf(r.Header, p)
	if err != nil {
		return err
	}
	if err := h.cfg.Host.Stop(r.Context(), id, claim); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request, _ Principal) error {
	return writeJSON(w, map[string]string{"status": "ok"})
}

func (h *Handler) readyz(w http.ResponseWriter, _ *http.Request, _ Principal) error {
	if h.cfg.Ready != nil {
		if err := h.cfg.Ready(); err != nil {
			writeRefusal(w, http.StatusServiceUnavailable, err)
			return nil
		}
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}

// claimOf reads whose function a request is about, and by which right.
func claimOf(header http.Header, p Principal) (function.ID, function.Claim, error) {
	text := first(header, headerFunction)
	if text == "" {
		return function.ID{}, function.Claim{}, function.Errorf(function.CodeBadRequest, "the header %s is missing", headerFunction)
	}
	id, err := function.ParseID(text)
	if err != nil {
		return id, function.Claim{}, err
	}
	lease := first(header, headerLease)
	if lease == "" {
		return id, function.Claim{}, function.Errorf(function.CodeBadRequest, "the header %s is missing", headerLease)
	}
	if err := function.CheckLeaseID(lease); err != nil {
		return id, function.Claim{}, err
	}
	namespace, err := namespaceOf(header, p)
	return id, function.Claim{Lease: lease, Namespace: namespace}, err
}

// namespaceOf returns the only namespace that the caller may act for: its
// token's, or the one that it restricts itself to.
func namespaceOf(header http.Header, p Principal) (string, error) {
	asked := first(header, headerNamespace)
	if asked == "" {
		return p.Namespace, nil
	}
	if p.Namespace != "" && p.Namespace != asked {
		return "", wrongNamespace(asked, p)
	}
	return asked, nil
}

func wrongNamespace(asked string, p Principal) error {
	return function.Errorf(function.CodeForbidden, "the token is for the namespace %q, not for %q", p.Namespace, asked)
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return function.Errorf(function.CodeInternal, "writing an answer: %v", err)
	}
	w.Header()["Content-Type"] = []string{typeJSON}
	w.Write(append(body, '\n')) // who does not listen cannot be told
	return nil
}
