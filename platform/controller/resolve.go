package controller

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A resolved action is ready to be invoked: everything that does not depend on the
// request is worked out. It does not change.
type resolved struct {
	action      bus.Action
	defaults    Parameters // the arguments that the request may override
	providesKey bool
}

// resolvedActions remembers resolved actions until anything is written. With a
// generation it avoids remembering what was read before a write.
type resolvedActions struct {
	mu         sync.RWMutex
	known      map[Name]*resolved
	generation uint64
}

// maxResolved bounds how many actions are remembered.
const maxResolved = 10000

func (r *resolvedActions) get(name Name) (*resolved, uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known[name], r.generation
}

func (r *resolvedActions) remember(name Name, a *resolved, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation != r.generation {
		return
	}
	if r.known == nil || len(r.known) >= maxResolved {
		r.known = map[Name]*resolved{}
	}
	r.known[name] = a
}

func (r *resolvedActions) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = nil
	r.generation++
}

func (c *Controller) resolveAction(ctx context.Context, name Name) (*resolved, error) {
	known, generation := c.resolved.get(name)
	if known != nil {
		return known, nil
	}
	e, err := get[Action](ctx, c, store.Actions, name)
	if err != nil {
		return nil, err
	}
	params := e.Doc.Parameters
	if name.Package != "" {
		pkg, err := get[Package](ctx, c, store.Packages, Name{Namespace: name.Namespace, Name: name.Package})
		if err != nil {
			return nil, err
		}
		params = params.over(pkg.Doc.Parameters)
	}
	a := newResolved(name, e, params)
	c.resolved.remember(name, a, generation)
	return a, nil
}

func newResolved(name Name, e *Entity[Action], params Parameters) *resolved {
	r := &resolved{
		action: bus.Action{
			Namespace: name.Namespace, Package: name.Package, Name: name.Name,
			Version: e.Doc.Version, Revision: e.row.Revision, CodeID: e.row.CodeID,
			Kind: e.Doc.Exec.Kind, Main: e.Doc.Exec.Main, Binary: e.Doc.Exec.Binary,
			Env: map[string]string{}, Limits: e.Doc.Limits,
		},
		providesKey: string(e.Doc.Annotations.Get("provide-api-key")) != "false",
	}
	r.action.Image = e.Doc.Exec.Image
	if r.action.Main == "" {
		r.action.Main = "main"
	}
	for _, p := range params {
		if p.Init {
			r.action.Env[p.Key] = asEnvironment(p.Value)
		} else {
			r.defaults = append(r.defaults, p)
		}
	}
	return r
}

// asEnvironment returns a string as it is, and anything else as JSON.
func asEnvironment(value json.RawMessage) string {
	var s string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}
