package controller

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/platform/store"
)

// A routeTable is the routes of a namespace. It does not change.
type routeTable []tableRoute

type tableRoute struct {
	segments []string // of base path and path; parameters as "{name}"
	verb     string
	to       routeTarget
	origins  bool
}

// newRouteTable returns the routes of APIs. One that cannot be read is told to the log and left out.
func newRouteTable(namespace string, apis []store.API, unread func(api store.API, err error)) (table routeTable) {
	for _, api := range apis {
		doc, err := parseAPIDoc(api.Doc)
		if err != nil {
			unread(api, err)
			continue
		}
		assembled := doc.assembled()
		for _, o := range doc.operations() {
			to, err := o.target(namespace, assembled)
			if err != nil {
				unread(api, err)
				continue
			}
			table = append(table, tableRoute{segmentsOf(doc.basePath() + "/" + o.path), o.verb, to, doc.allowsOrigins()})
		}
	}
	return table
}

// segmentsOf returns the parts of a path; empty ones do not count.
func segmentsOf(path string) (list []string) {
	for s := range strings.SplitSeq(path, "/") {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

// A Route is where a request goes.
type Route struct {
	Action    Name
	Extension string // "http", "json", "html", "svg", "text"
	Secret    string // what is sent as X-Require-Whisk-Auth; empty: what the caller sent
	// Parameters are the path's, by name and value.
	Parameters [][2]string
	// Origins says that pages of other origins may call.
	Origins bool
	// Verbs are the methods that the path has. Without an Action the request only asked for them.
	Verbs []string
}

// errNoRoute refuses a path that no route has.
func errNoRoute(namespace, path string) error {
	return Refuse(http.StatusNotFound, "No API of namespace '%s' has the path '%s'.", namespace, path)
}

// find returns the route for a request; escaped is the path behind the namespace, as it was sent. Where
// several fit, the one whose leftmost parts are no parameters counts.
func (t routeTable) find(namespace, method, escaped string) (*Route, error) {
	segments := segmentsOf(escaped)
	for i, s := range segments {
		text, err := url.PathUnescape(s)
		if err != nil {
			return nil, errNoRoute(namespace, escaped)
		}
		segments[i] = text
	}
	var best *tableRoute
	route := Route{}
	for i := range t {
		r := &t[i]
		if !r.matches(segments) {
			continue
		}
		route.Verbs = append(route.Verbs, r.verb)
		route.Origins = route.Origins || r.origins
		if r.answers(method) && (best == nil || r.before(best)) {
			best = r
		}
	}
	slices.Sort(route.Verbs)
	route.Verbs = slices.Compact(route.Verbs)
	switch {
	case len(route.Verbs) == 0:
		return nil, errNoRoute(namespace, escaped)
	case best == nil && method == http.MethodOptions && route.Origins:
		return &route, nil
	case best == nil:
		return &route, Refuse(http.StatusMethodNotAllowed, "HTTP method not allowed, supported methods: %s", strings.Join(route.Verbs, ", "))
	}
	route.Action, route.Extension, route.Secret, route.Origins = best.to.action, best.to.extension, best.to.secret, best.origins
	for i, s := range best.segments {
		if name, ok := parameterOf(s); ok {
			route.Parameters = append(route.Parameters, [2]string{name, segments[i]})
		}
	}
	return &route, nil
}

// answers reports whether the route is for a method; GET answers HEAD, as everywhere.
func (r *tableRoute) answers(method string) bool {
	return r.verb == method || method == http.MethodHead && r.verb == http.MethodGet
}

func (r *tableRoute) matches(segments []string) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if _, any := parameterOf(s); !any && s != segments[i] {
			return false
		}
	}
	return true
}

// before reports whether r is the better of two that match.
func (r *tableRoute) before(other *tableRoute) bool {
	for i := range r.segments {
		_, any := parameterOf(r.segments[i])
		_, otherAny := parameterOf(other.segments[i])
		if any != otherAny {
			return otherAny
		}
	}
	return r.verb == http.MethodHead && other.verb == http.MethodGet
}
