package wire

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// tokensPath is where an admin's token makes, lists and revokes tokens.
const tokensPath = "/tokens"

// A tokenRequest is the body of POST /tokens.
type tokenRequest struct {
	Role      Role     `json:"role"`
	Namespace string   `json:"namespace,omitempty"`
	Labels    []string `json:"labels,omitempty"`
	TTLms     int64    `json:"ttl_ms,omitempty"`
}

// maxTokenRequest bounds the body of POST /tokens, in bytes.
const maxTokenRequest = 64 << 10

// mayManage refuses whoever may not manage tokens, though his token is an admin's.
func (h *Handler) mayManage(p Principal) error {
	if p.Namespace != "" {
		return notForAll(p, "tokens are")
	}
	if h.cfg.Tokens == nil {
		return function.Errorf(function.CodeBadRequest, "this host keeps no tokens: it was given the one that it knows")
	}
	return nil
}

// notForAll refuses what is for the whole host to an admin of one namespace. No such token is made, but
// somebody may write one into tokens.json.
func notForAll(p Principal, what string) error {
	return function.Errorf(function.CodeForbidden, "the token is for the namespace %q, and %s for the whole host", p.Namespace, what)
}

// createToken serves POST /tokens.
func (h *Handler) createToken(w http.ResponseWriter, r *http.Request, p Principal) error {
	if err := h.mayManage(p); err != nil {
		return err
	}
	spec, err := readTokenRequest(w, r)
	if err != nil {
		return err
	}
	created, err := h.cfg.Tokens.CreateToken(r.Context(), spec)
	if err != nil {
		return err
	}
	h.log.Info("a token was made", "token", created.ID, "role", created.Role, "by", p.ID)
	w.Header()["Cache-Control"] = []string{"no-store"}
	return writeJSON(w, created)
}

func readTokenRequest(w http.ResponseWriter, r *http.Request) (TokenSpec, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenRequest))
	var tooMuch *http.MaxBytesError
	if errors.As(err, &tooMuch) {
		return TokenSpec{}, function.Errorf(function.CodeTooLarge, "what the token shall be has more than %d bytes", tooMuch.Limit)
	}
	if err != nil {
		return TokenSpec{}, function.Errorf(function.CodeBadRequest, "what the token shall be ended early: %v", err)
	}
	return parseTokenRequest(text)
}

func parseTokenRequest(text []byte) (TokenSpec, error) {
	var req tokenRequest
	if err := json.Unmarshal(text, &req); err != nil {
		return TokenSpec{}, function.Errorf(function.CodeBadRequest, "the body is not {\"role\", \"namespace\", \"labels\", \"ttl_ms\"} as JSON: %v", err)
	}
	if req.TTLms < 0 || req.TTLms > maxMillis {
		return TokenSpec{}, function.Errorf(function.CodeBadRequest, "the token's ttl_ms, %d, is no possible time to live", req.TTLms)
	}
	spec := TokenSpec{Role: req.Role, Namespace: req.Namespace, Labels: req.Labels, TTL: time.Duration(req.TTLms) * time.Millisecond}
	return spec, spec.check()
}

// listTokens serves GET /tokens.
func (h *Handler) listTokens(w http.ResponseWriter, r *http.Request, p Principal) error {
	if err := h.mayManage(p); err != nil {
		return err
	}
	list, err := h.cfg.Tokens.ListTokens(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, list)
}

// revokeToken serves DELETE /tokens/{id}, also with ?force=1.
func (h *Handler) revokeToken(w http.ResponseWriter, r *http.Request, p Principal) error {
	if err := h.mayManage(p); err != nil {
		return err
	}
	id := strings.TrimPrefix(r.URL.Path, tokensPath+"/")
	if err := h.cfg.Tokens.RevokeToken(r.Context(), id, r.URL.Query().Get("force") == "1"); err != nil {
		return err
	}
	h.log.Info("a token was revoked", "token", id, "by", p.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
