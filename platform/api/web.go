package api

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// webPrefix is where the web actions lie.
const webPrefix = prefix + "/web/"

// webMethods are those that web actions and API routes may have, as OpenWhisk tells them.
var webMethods = []string{"OPTIONS", "GET", "DELETE", "POST", "PUT", "HEAD", "PATCH"}

// The words of OpenWhisk for what may be wrong with a call of a web action.
var (
	errUnauthorized = controller.Refuse(http.StatusUnauthorized, "Authentication is possible but has failed or not yet been provided.")
	errReserved     = controller.Refuse(http.StatusBadRequest, "Request defines parameters that are not allowed (e.g., reserved properties).")
	errProcessing   = controller.Refuse(http.StatusBadRequest, "There was an error processing your request.")
	errNotReady     = controller.Refuse(http.StatusAccepted, "Response not yet ready.")
)

// A webCall is a call of a web action.
type webCall struct {
	name      controller.Name
	extension string // "http", "json", "html", "svg", "text"
	path      string // what follows the action in the URL, as it was sent
	captured  []pair // a route's path parameters
	secret    string // what a route sends as the header controller.HeaderWebAuth, if anything
	closed    bool   // pages of other origins are not told that they may call
}

// serveWeb answers a call of a web action by its URL. No key is needed.
func (a *API) serveWeb(q *request) {
	call, err := parseWebPath(strings.TrimPrefix(q.URL.EscapedPath(), webPrefix))
	switch {
	case err != nil:
	case call.name.Namespace == systemNamespace && call.name.Package == apiPackage:
		err = a.manageAPIs(q, call.name.Name)
	default:
		err = a.callWeb(q, call)
	}
	a.endWeb(q, err)
}

// endWeb tells what is wrong, if anything is. A browser is not asked for a password.
func (a *API) endWeb(q *request, err error) {
	if err == nil {
		return
	}
	rep := a.refusal(q, err)
	q.w.Header().Del("WWW-Authenticate")
	rep.write(q.w)
}

// parseWebPath reads namespace/package/name.extension/path, percent-encoded.
func parseWebPath(escaped string) (call webCall, err error) {
	parts := strings.SplitN(escaped, "/", 4)
	if len(parts) < 3 {
		return call, notFound()
	}
	if len(parts) == 4 {
		call.path = "/" + parts[3]
	}
	for i := range 3 {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return call, notFound()
		}
	}
	name, extension := splitExtension(parts[2])
	call.extension = extension
	call.name, err = controller.WebName(parts[0], parts[1], name)
	return call, err
}

// splitExtension returns a name without its extension, and the extension: "http" where
// there is none that we know.
func splitExtension(name string) (base, extension string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && renderers[name[i+1:]] != nil {
		return name[:i], name[i+1:]
	}
	return name, "http"
}

// callWeb calls a web action and answers. Where it returns an error, nothing is written yet.
func (a *API) callWeb(q *request, call webCall) error {
	if !isWebMethod(q.Method) {
		return notAllowed(webMethods...)
	}
	if limit := a.controller.Limits().Payload; q.ContentLength > limit {
		_, err := q.bytes(limit) // the refusal
		return err
	}
	action, err := a.controller.WebAction(q.Context(), call.name)
	if err != nil {
		return err
	}
	if err := a.identify(q); err != nil {
		return err
	}
	if !action.HasOptions() {
		if !call.closed {
			allowOrigins(q, webMethods)
		}
		if q.Method == http.MethodOptions {
			writeWeb(q.w, &webAnswer{status: http.StatusOK})
			return nil
		}
	}
	secret := q.Header.Get(controller.HeaderWebAuth)
	if call.secret != "" {
		secret = call.secret
	}
	// An action that answers OPTIONS itself is asked by browsers, who show no key then.
	if q.Method != http.MethodOptions && !action.Admits(q.by.Namespace != "", secret) {
		return errUnauthorized
	}
	args, err := q.webArgs(call, action.IsRaw(), action.IsFinal, a.controller.Limits().Payload)
	if err != nil {
		return err
	}
	return a.invokeWeb(q, action, call.extension, args)
}

func isWebMethod(method string) bool {
	return slices.Contains(webMethods, method)
}

// identify finds out who calls. Without a good key the call is anonymous, as with any other key:
// the action may have users of its own.
func (a *API) identify(q *request) error {
	uuid, key, ok := q.BasicAuth()
	if !ok {
		return nil
	}
	by, err := a.controller.Authenticate(q.Context(), uuid, key)
	var refused *controller.Error
	if errors.As(err, &refused) {
		return nil
	}
	q.by = by
	return err
}

// allowOrigins sets the headers that let pages of other origins call.
func allowOrigins(q *request, methods []string) {
	h := q.w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if asked := q.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		return
	}
	h.Set("Access-Control-Allow-Headers", allowedHeaders)
}

func (a *API) invokeWeb(q *request, action *controller.WebAction, extension string, args []byte) error {
	in := controller.Invocation{Args: args, Transaction: q.transaction, Wait: a.webWait}
	reading := q.webReading(extension)
	if reading != nil {
		in.Reader = reading
		defer reading.leave()
	}
	id, done, err := a.controller.InvokeWeb(q.Context(), action, in)
	if err != nil {
		return err
	}
	if reading != nil && reading.endStream(done) {
		return nil
	}
	q.w.Header().Set(headerActivation, id)
	switch {
	case done == nil:
		return errNotReady
	case done.Status != store.StatusSuccess && done.Status != store.StatusApplicationError:
		return errProcessing
	}
	result := bytes.TrimSpace(done.Result)
	if done.Status == store.StatusApplicationError {
		if result, err = unwrapError(result); err != nil {
			return err
		}
	}
	ans, err := render(extension, result, q.Header["Accept"])
	if err != nil {
		return err
	}
	writeWeb(q.w, ans)
	return nil
}
