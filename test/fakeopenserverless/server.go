// Package fakeopenserverless is a stand-in for a server of Apache OpenServerless's
// runtimes, written from what is known of its contract, with its quirks. It runs
// no code: what a function does is a Go function of the test's.
package fakeopenserverless

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
)

const guard = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"

// An Action is what an /init has brought.
type Action struct {
	Code   string            `json:"code"`
	Binary bool              `json:"binary"`
	Main   string            `json:"main"`
	Env    map[string]string `json:"env"`
}

// A Result is what a run gives. Died says that the action's process ended instead.
type Result struct {
	Response json.RawMessage `json:"response"`
	Out      string          `json:"out"`
	Err      string          `json:"err"`
	Died     bool            `json:"-"`
}

// A Server is an http.Handler.
type Server struct {
	// ByID makes it a version that tells actions apart by proxiedActionID, not
	// by actionCodeHash.
	ByID bool
	// Run is every action. value is as it came.
	Run func(a Action, value json.RawMessage) Result

	mu       sync.Mutex
	actions  map[string]*action
	requests []Request
}

// An action is one that is known, and the clients that hold it.
type action struct {
	Action
	clients []string
	dead    bool
}

// A Request is one that came.
type Request struct {
	Method, Path, Body string
	Header             http.Header
}

// Requests returns those that came since the last call.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

// Forget drops all actions, as a restart would.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions = nil
}

// Actions returns how many are known.
func (s *Server) Actions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.actions)
}

// ServeHTTP answers as theirs does: with 200 and nothing where it knows no path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		sendError(w, http.StatusBadRequest, "Error reading request body")
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.URL.Path, string(body), r.Header.Clone()})
	s.mu.Unlock()
	switch r.URL.Path {
	case "/init":
		s.init(w, body)
	case "/run":
		s.run(w, body)
	case "/stop":
		s.stop(w, body)
	}
}

type request struct {
	ProxiedActionID string          `json:"proxiedActionID"`
	ActionCodeHash  string          `json:"actionCodeHash"`
	Value           json.RawMessage `json:"value"`
}

// name is by what a request names its action.
func (s *Server) name(r request) string {
	if s.ByID {
		return r.ProxiedActionID
	}
	return r.ActionCodeHash
}

func (s *Server) init(w http.ResponseWriter, body []byte) {
	var r request
	var a Action
	if json.Unmarshal(body, &r) != nil || json.Unmarshal(r.Value, &a) != nil {
		sendError(w, http.StatusBadRequest, "Error unmarshaling request")
		return
	}
	r.ActionCodeHash = a.Env["__OW_CODE_HASH"]
	sum := md5.Sum([]byte(a.Code))
	switch {
	case r.ActionCodeHash == "":
		sendError(w, http.StatusBadGateway, "Cannot identify the action in remote runtime (missing hash).")
		return
	case r.ProxiedActionID == "":
		sendError(w, http.StatusBadGateway, "Missing action id from client.")
		return
	case a.Code == "":
		sendError(w, http.StatusForbidden, "Missing main/no code to execute.")
		return
	case r.ActionCodeHash != hex.EncodeToString(sum[:]): // theirs would not notice; a client of ours must send the right one
		sendError(w, http.StatusBadGateway, "The hash is not the md5 of the code.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.actions == nil {
		s.actions = map[string]*action{}
	}
	known := s.actions[s.name(r)]
	if known == nil {
		known = &action{Action: a}
		s.actions[s.name(r)] = known
	}
	known.clients = append(known.clients, r.ProxiedActionID)
	sendOK(w)
}

func (s *Server) run(w http.ResponseWriter, body []byte) {
	var r request
	if json.Unmarshal(body, &r) != nil {
		sendError(w, http.StatusBadRequest, "Error decoding run body")
		return
	}
	if s.name(r) == "" {
		sendError(w, http.StatusBadRequest, "Action code hash not provided from client")
		return
	}
	s.mu.Lock()
	a := s.actions[s.name(r)]
	s.mu.Unlock()
	switch {
	case a == nil:
		sendError(w, http.StatusNotFound, "Action not found in remote runtime. Check logs for details.")
		return
	case a.dead:
		sendError(w, http.StatusInternalServerError, "no action defined yet")
		return
	}
	result := s.Run(a.Action, r.Value)
	if result.Died {
		s.mu.Lock()
		a.dead = true
		s.mu.Unlock()
		sendError(w, http.StatusBadRequest, "command exited")
		return
	}
	if first := result.Response[0]; first != '{' && first != '[' {
		sendError(w, http.StatusBadGateway, "The action did not return a dictionary or array.")
		return
	}
	result.Out += guard
	result.Err += guard
	text, _ := json.Marshal(result)
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func (s *Server) stop(w http.ResponseWriter, body []byte) {
	var r request
	if json.Unmarshal(body, &r) != nil {
		sendError(w, http.StatusBadRequest, "Error decoding stop body")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.actions[s.name(r)]
	if a == nil || !slices.Contains(a.clients, r.ProxiedActionID) {
		sendError(w, http.StatusNotFound, "Action to be removed in remote runtime not found. Check logs for details.")
		return
	}
	a.clients = slices.DeleteFunc(a.clients, func(id string) bool { return id == r.ProxiedActionID })
	if len(a.clients) == 0 {
		delete(s.actions, s.name(r))
	}
	sendOK(w)
}

func sendOK(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{\"ok\":true}\n")
}

func sendError(w http.ResponseWriter, status int, text string) {
	body, _ := json.Marshal(map[string]string{"error": text})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
