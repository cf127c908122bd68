package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// gatewayPrefix is where the APIs of all namespaces lie: /api/namespace/base/path.
const gatewayPrefix = "/api/"

// isGatewayPath reports whether a path lies below a namespace's APIs. The REST API has its place there,
// and no namespace may take it.
func isGatewayPath(escaped string) bool {
	rest, ok := strings.CutPrefix(escaped, gatewayPrefix)
	tenant, _, _ := strings.Cut(rest, "/")
	return ok && tenant != "" && tenant != strings.TrimPrefix(prefix, gatewayPrefix)
}

// gatewayURL returns where a namespace's API is reached.
func gatewayURL(origin, namespace, basePath string) string {
	return origin + gatewayPrefix + url.PathEscape(namespace) + basePath
}

// origin returns how the caller reaches the platform: "https://host".
func (q *request) origin() string {
	scheme := "http"
	if q.TLS != nil || strings.EqualFold(q.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + q.Host
}

// serveGateway answers a request to one of a namespace's APIs.
func (a *API) serveGateway(q *request) { a.endWeb(q, a.callRoute(q)) }

func (a *API) callRoute(q *request) error {
	tenant, path, _ := strings.Cut(strings.TrimPrefix(q.URL.EscapedPath(), gatewayPrefix), "/")
	namespace, err := url.PathUnescape(tenant)
	if err != nil {
		return notFound()
	}
	route, err := a.controller.Route(q.Context(), namespace, q.Method, "/"+path)
	if route != nil {
		q.w.Header().Set("Allow", strings.Join(route.Verbs, ", "))
	}
	if err != nil {
		return err
	}
	if route.Action == (controller.Name{}) {
		allowOrigins(q, route.Verbs)
		writeWeb(q.w, &webAnswer{status: http.StatusOK})
		return nil
	}
	q.w.Header().Del("Allow")
	call := webCall{name: route.Action, extension: route.Extension, secret: route.Secret, closed: !route.Origins}
	if route.Extension == "http" { // OpenWhisk's gateway passes the path on to these
		call.path = "/" + path
	}
	for _, p := range route.Parameters {
		call.captured = append(call.captured, pair{p[0], p[1]})
	}
	return a.callWeb(q, call)
}
