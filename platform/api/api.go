package api

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// prefix is where the API lies.
const prefix = "/api/v1"

const (
	headerTransaction = "X-Request-Id"
	// allowedHeaders are those that pages of other origins may send.
	allowedHeaders = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"
)

// API is the handler.
type API struct {
	controller *controller.Controller
	log        *slog.Logger
	build      string
	webWait    time.Duration // for the end of a web action
	silence    time.Duration // of who sends a body
}

// New returns the handler. build is the date of the build, "2026-…": clients look
// whether it begins with "20".
func New(c *controller.Controller, build string, log *slog.Logger) *API {
	return &API{controller: c, log: log, build: build, webWait: maxWait, silence: bodySilence}
}

// A request is one that is on its way through the API.
type request struct {
	*http.Request
	w           http.ResponseWriter
	by          controller.Identity
	transaction string
	namespace   string   // resolved
	rest        []string // of the path, after the collection
	query       url.Values
	silence     time.Duration // see API
	again       func() error  // shows the key once more; nil: none was wanted
}

// ServeHTTP answers.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, w: w, transaction: transactionID(r), query: r.URL.Query(), silence: a.silence}
	h := w.Header()
	h.Set(headerTransaction, q.transaction)
	switch path := r.URL.EscapedPath(); {
	case strings.HasPrefix(path, webPrefix):
		a.serveWeb(q)
		return
	case isGatewayPath(path):
		a.serveGateway(q)
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", allowedHeaders)
	h.Set("Access-Control-Allow-Methods", "GET, DELETE, POST, PUT, HEAD")
	rep, err := a.route(q)
	if err != nil {
		rep = a.refusal(q, err)
	}
	rep.write(w)
}

func (a *API) refusal(q *request, err error) reply {
	var refused *controller.Error
	if !errors.As(err, &refused) {
		if q.Context().Err() == nil {
			a.log.Error("a request failed", "method", q.Method, "path", q.URL.Path, "transaction", q.transaction, "error", err)
		}
		refused = controller.Refuse(http.StatusInternalServerError, "There was an internal server error.")
		switch {
		case errors.Is(err, store.ErrDiskFull):
			refused.Message = "The disk of the platform is full; its operator must make room."
		case errors.Is(err, store.ErrUnreachable):
			refused = controller.Refuse(http.StatusServiceUnavailable, "The platform's database cannot be reached just now, try again later.")
		}
	}
	if refused.Status == http.StatusUnauthorized {
		q.w.Header().Set("WWW-Authenticate", `Basic realm="whisk rest service"`)
	}
	return reply{refused.Status, map[string]string{"error": refused.Message, "code": q.transaction}}
}

// transactions are the ids that a caller may choose.
var transactions = regexp.MustCompile(`\A[\w.:-]{1,128}\z`)

func transactionID(r *http.Request) string {
	if id := r.Header.Get(headerTransaction); transactions.MatchString(id) {
		return id
	}
	return rand.Text()
}

// collections are what a namespace has.
var collections = map[string]func(*API, *request) (reply, error){
	"actions":     (*API).actions,
	"activations": (*API).activations,
	"triggers":    (*API).triggers,
	"rules":       (*API).rules,
	"packages":    (*API).packages,
	"limits":      (*API).limits,
}

func (a *API) route(q *request) (reply, error) {
	if q.Method == http.MethodOptions {
		return reply{status: http.StatusOK}, nil
	}
	path := q.URL.EscapedPath()
	switch {
	case path == "/" && q.Method == http.MethodGet:
		return a.describe()
	case strings.TrimSuffix(path, "/") == prefix && q.Method == http.MethodGet:
		return a.version()
	case path == prefix+"/api-docs" && q.Method == http.MethodGet:
		return a.apiDocs()
	}
	if err := a.authenticate(q); err != nil {
		return reply{}, err
	}
	segments, err := split(strings.TrimPrefix(path, prefix+"/"))
	if err != nil || !strings.HasPrefix(path, prefix+"/") {
		return reply{}, notFound()
	}
	switch {
	case segments[0] != "namespaces":
		return reply{}, notFound()
	case len(segments) == 1 || len(segments) == 2 && segments[1] == "":
		return a.namespaces(q)
	case len(segments) < 3 || collections[segments[2]] == nil:
		return reply{}, notFound()
	}
	q.namespace, q.rest = q.by.Expand(segments[1]), segments[3:]
	if !q.by.Owns(q.namespace) && !q.mayBeShared(segments[2]) {
		return reply{}, controller.NotAuthorized(q.namespace)
	}
	return collections[segments[2]](a, q)
}

// mayBeShared reports whether the request is one that the controller may allow to
// others than the namespace's owner: published packages can be read, and their actions
// read and invoked. All else of another namespace is forbidden.
func (q *request) mayBeShared(collection string) bool {
	switch collection {
	case "packages":
		return q.Method == http.MethodGet
	case "actions":
		return q.Method == http.MethodGet || q.Method == http.MethodPost
	}
	return false
}

func split(path string) ([]string, error) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		text, err := url.PathUnescape(s)
		if err != nil {
			return nil, err
		}
		segments[i] = text
	}
	return segments, nil
}

func (a *API) authenticate(q *request) error {
	uuid, key, ok := q.BasicAuth()
	if !ok {
		return controller.Refuse(http.StatusUnauthorized, "The resource requires authentication, which was not supplied with the request")
	}
	q.again = func() (err error) {
		q.by, err = a.controller.Authenticate(q.Context(), uuid, key)
		return err
	}
	return q.again()
}

func notFound() error {
	return controller.Refuse(http.StatusNotFound, "The requested resource does not exist.")
}

// notAllowed is the answer to a method that a resource does not know.
func notAllowed(supported ...string) error {
	return controller.Refuse(http.StatusMethodNotAllowed, "HTTP method not allowed, supported methods: %s", strings.Join(supported, ", "))
}

// isList says that the path names the collection, not a member.
func (q *request) isList() bool { return len(q.rest) == 0 || len(q.rest) == 1 && q.rest[0] == "" }

// name returns the member that the path names.
func (q *request) name() (controller.Name, error) { return q.by.Name(q.namespace, q.rest...) }

// simpleName is name for collections that have no packages.
func (q *request) simpleName() (controller.Name, error) {
	if len(q.rest) != 1 {
		return controller.Name{}, notFound()
	}
	return q.name()
}
