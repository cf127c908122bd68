package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// routesFor is how long a namespace's routes are remembered without asking the store.
const routesFor = 5 * time.Second

// maxRouteTables bounds how many namespaces' routes are remembered. Only those that have some are.
const maxRouteTables = 1000

// routeTables remembers routes.
type routeTables struct {
	mu         sync.Mutex
	known      map[string]rememberedRoutes
	generation uint64

	change sync.Mutex // held by who changes an API
}

type rememberedRoutes struct {
	routeTable
	until time.Time
}

func (r *routeTables) get(namespace string) (routeTable, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[namespace]; time.Now().Before(known.until) {
		return known.routeTable, r.generation
	}
	return nil, r.generation
}

func (r *routeTables) remember(namespace string, t routeTable, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation != r.generation || len(t) == 0 {
		return
	}
	if r.known == nil || len(r.known) >= maxRouteTables {
		r.known = map[string]rememberedRoutes{}
	}
	r.known[namespace] = rememberedRoutes{t, time.Now().Add(routesFor)}
}

func (r *routeTables) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = nil
	r.generation++
}

// Route returns where a request to one of a namespace's APIs goes; path is what follows
// the namespace in the URL, percent-encoded. The error is a 404, or a 405 with a Route that has the verbs.
func (c *Controller) Route(ctx context.Context, namespace, method, path string) (*Route, error) {
	table, generation := c.routes.get(namespace)
	if table == nil {
		apis, err := c.store.APIs(ctx, namespace)
		if err != nil {
			return nil, err
		}
		table = newRouteTable(namespace, apis, func(api store.API, err error) {
			c.log.Error("a route cannot be read", "namespace", namespace, "api", api.BasePath, "error", err)
		})
		c.routes.remember(namespace, table, generation)
	}
	return table.find(namespace, method, path)
}

// An API is a set of routes as its owner sees it.
type API struct {
	BasePath string
	Title    string
	Doc      map[string]any // Swagger 2.0
}

// An APIFilter chooses APIs, and of these what is shown; empty: all.
type APIFilter struct {
	API  string // a base path, which begins with "/", or a title
	Path string
	Verb string
}

// APIs lists the APIs of id's namespace by their base paths.
func (c *Controller) APIs(ctx context.Context, id Identity, f APIFilter) ([]API, error) {
	list := []API{}
	found, err := c.findAPIs(ctx, id.Namespace, f.API)
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		a.doc.keep(f.Path, f.Verb)
		if f.Path+f.Verb == "" || len(a.doc.operations()) > 0 {
			list = append(list, a.shown())
		}
	}
	return list, nil
}

// A storedAPI is an API with its place in the store.
type storedAPI struct {
	row store.API
	doc apiDoc
}

func (a *storedAPI) shown() API { return API{a.doc.basePath(), a.doc.title(), a.doc} }

// findAPIs returns the APIs that a base path or a title means; empty: all.
func (c *Controller) findAPIs(ctx context.Context, namespace, api string) ([]*storedAPI, error) {
	rows, err := c.store.APIs(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var found []*storedAPI
	for _, row := range rows {
		doc, err := parseAPIDoc(row.Doc)
		if err != nil {
			return nil, fmt.Errorf("the stored API %s of %s: %w", row.BasePath, namespace, err)
		}
		if api == "" || api == row.BasePath || !strings.HasPrefix(api, "/") && api == doc.title() {
			found = append(found, &storedAPI{row, doc})
		}
	}
	return found, nil
}

// oneAPI returns the API that a base path or a title means; nil: there is none.
func (c *Controller) oneAPI(ctx context.Context, namespace, api string) (*storedAPI, error) {
	found, err := c.findAPIs(ctx, namespace, api)
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, apiFailure("Several APIs have the name '%s'; say which base path is meant: %s and %s.", api, found[0].row.BasePath, found[1].row.BasePath)
	}
	return found[0], nil
}

// apiFailure is how OpenWhisk's own actions for APIs refuse.
func apiFailure(format string, args ...any) error {
	return Refuse(http.StatusBadGateway, format, args...)
}

// changeAPI runs do, which reads an API and writes it. One at a time does, so that routes that are
// made at once are all there; where another controller was faster, it is tried again.
func (c *Controller) changeAPI(do func() error) error {
	c.routes.change.Lock()
	defer c.routes.change.Unlock()
	defer c.routes.forget()
	for tries := 1; ; tries++ {
		err := stored(do())
		if tries == maxChanges || !errors.Is(err, errConcurrent) {
			return err
		}
	}
}

const maxChanges = 10

// AddRoute adds a route to an API of id's namespace, or replaces it; the API is made if it
// is not there. origin is where the platform is reached, "https://host".
func (c *Controller) AddRoute(ctx context.Context, id Identity, r NewRoute, origin string) (API, error) {
	r.Verb = strings.ToUpper(r.Verb)
	if !slices.Contains(apiVerbs, r.Verb) {
		return API{}, apiFailure("'%s' is not a valid API verb.  Valid values are: %s", r.Verb, strings.Join(apiVerbs, ", "))
	}
	if !slices.Contains(responseTypes, r.ResponseType) {
		return API{}, apiFailure("'%s' is not a valid response type. Valid values are: %s", r.ResponseType, strings.Join(responseTypes, ", "))
	}
	if err := checkPath(r.Path); err != nil {
		return API{}, apiFailure("%v", err)
	}
	if r.Namespace == "_" {
		r.Namespace = id.Namespace
	}
	var made API
	err := c.changeAPI(func() error {
		a, err := c.oneAPI(ctx, id.Namespace, r.BasePath)
		if err != nil {
			return err
		}
		if a == nil {
			if err := checkBasePath(r.BasePath); err != nil {
				return apiFailure("%v, or be the name of an API that exists", err)
			}
			a = &storedAPI{row: store.API{Namespace: id.Namespace, BasePath: r.BasePath}, doc: newAPIDoc(r.BasePath, r.Title)}
		}
		a.doc.add(r, origin)
		made, err = c.putAPI(ctx, id, a, func(o operation) bool { return o.path == r.Path && o.verb == r.Verb })
		return err
	})
	return made, err
}

// PutAPI makes an API of id's namespace what a Swagger document says.
func (c *Controller) PutAPI(ctx context.Context, id Identity, swagger []byte) (API, error) {
	doc, err := parseAPIDoc(swagger)
	if err == nil && doc == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return API{}, apiFailure("swagger field cannot be parsed. Ensure it is valid JSON: %v", err)
	}
	if err := doc.check(); err != nil {
		return API{}, apiFailure("%v", err)
	}
	var made API
	err = c.changeAPI(func() error {
		a, err := c.oneAPI(ctx, id.Namespace, doc.basePath())
		if err != nil {
			return err
		}
		if a == nil {
			a = &storedAPI{row: store.API{Namespace: id.Namespace, BasePath: doc.basePath()}}
		}
		a.doc = doc
		made, err = c.putAPI(ctx, id, a, func(operation) bool { return true })
		return err
	})
	return made, err
}

// putAPI writes an API. Its operations that are new must call web actions.
func (c *Controller) putAPI(ctx context.Context, id Identity, a *storedAPI, isNew func(operation) bool) (API, error) {
	if id.Namespace == reservedTenant {
		return API{}, apiFailure("The namespace '%s' cannot have APIs: the platform's own lies there.", id.Namespace)
	}
	assembled := a.doc.assembled()
	for _, o := range a.doc.operations() {
		if !isNew(o) {
			continue
		}
		to, err := o.target(id.Namespace, assembled)
		if err != nil {
			return API{}, apiFailure("%v", err)
		}
		if err := c.checkTarget(ctx, to.action); err != nil {
			return API{}, err
		}
	}
	doc, err := a.doc.encode()
	if err != nil {
		return API{}, fmt.Errorf("encoding an API: %w", err)
	}
	a.row.Doc = doc
	if err := c.checkAPISizes(ctx, a.row); err != nil {
		return API{}, err
	}
	if a.row, err = c.store.PutAPI(ctx, a.row); err != nil {
		return API{}, err
	}
	return a.shown(), nil
}

// maxAPIs bounds the documents of a namespace's APIs together, in bytes: a request to any of them needs all.
const maxAPIs = 8 << 20

// checkAPISizes refuses an API that is too large, or too much with the others of its namespace.
func (c *Controller) checkAPISizes(ctx context.Context, api store.API) error {
	if size := int64(len(api.Doc)); size > c.cfg.Limits.Payload {
		return TooLarge("API", size, c.cfg.Limits.Payload)
	}
	others, err := c.store.APIs(ctx, api.Namespace)
	if err != nil {
		return err
	}
	size := int64(len(api.Doc))
	for _, other := range others {
		if other.BasePath != api.BasePath {
			size += int64(len(other.Doc))
		}
	}
	if size > maxAPIs {
		return TooLarge("APIs", size, maxAPIs)
	}
	return nil
}

// reservedTenant is where the REST API lies, /api/v1.
const reservedTenant = "v1"

func (c *Controller) checkTarget(ctx context.Context, action Name) error {
	_, err := c.WebAction(ctx, action)
	if errors.Is(err, errNotFound) {
		name := action.Name
		if action.Package != "" {
			name = action.Package + "/" + name
		}
		return apiFailure("Action '/%s/%s' does not exist, or is not a web action. Make it one with: wsk action update \"/%s/%s\" --web true",
			action.Namespace, name, action.Namespace, name)
	}
	return err
}

// DeleteAPI removes an API of id's namespace, a path of it, or one verb of a path; what is
// left without a path goes, too. api is a base path or a title.
func (c *Controller) DeleteAPI(ctx context.Context, id Identity, f APIFilter) error {
	return c.changeAPI(func() error { return c.deleteAPI(ctx, id, f) })
}

func (c *Controller) deleteAPI(ctx context.Context, id Identity, f APIFilter) error {
	a, err := c.oneAPI(ctx, id.Namespace, f.API)
	if err != nil {
		return err
	}
	if a == nil {
		return apiFailure("API '%s' does not exist.", f.API)
	}
	if f.Path != "" {
		if err := a.doc.remove(f.Path, f.Verb); err != nil {
			return apiFailure("%v", err)
		}
	}
	if f.Path == "" || len(a.doc.operations()) == 0 {
		return c.store.DeleteAPI(ctx, a.row)
	}
	if a.row.Doc, err = a.doc.encode(); err != nil {
		return fmt.Errorf("encoding an API: %w", err)
	}
	_, err = c.store.PutAPI(ctx, a.row)
	return err
}
