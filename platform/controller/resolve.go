package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A ResolvedAction is ready to be invoked: everything that does not depend on the
// request is worked out, the package and the binding included. It does not change.
type ResolvedAction struct {
	action      bus.Action
	annotations Parameters
	defaults    Parameters // the arguments that the request may override
	final       []string   // the parameters that it may not
	components  []Name     // of a sequence
	isSequence  bool
	isConductor bool
	providesKey bool
	// Who may: the namespace of the name that was asked for, and what lies behind it.
	namespace string
	inPackage bool
	isBinding bool
	isPublic  bool // the package that holds the action is published
}

// Annotations are the action's.
func (a *ResolvedAction) Annotations() Parameters { return a.annotations }

// Name is the action's own: of a binding it names the provider.
func (a *ResolvedAction) Name() Name {
	return Name{Namespace: a.action.Namespace, Package: a.action.Package, Name: a.action.Name}
}

// IsFinal reports whether a request must not set the parameter.
func (a *ResolvedAction) IsFinal(parameter string) bool { return slices.Contains(a.final, parameter) }

// allows reports whether id may read and invoke the action.
func (a *ResolvedAction) allows(id Identity) bool {
	own := id.Owns(a.namespace)
	shared := a.inPackage && a.isPublic
	if a.isBinding {
		return own && (shared || id.Owns(a.action.Namespace))
	}
	return own || shared
}

// resolvedActions remembers resolved actions until anything is written. With a
// generation it avoids remembering what was read before a write.
type resolvedActions struct {
	mu         sync.RWMutex
	known      map[Name]*ResolvedAction
	generation uint64
}

// maxResolved bounds how many actions are remembered.
const maxResolved = 10000

func (r *resolvedActions) get(name Name) (*ResolvedAction, uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known[name], r.generation
}

func (r *resolvedActions) remember(name Name, a *ResolvedAction, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation != r.generation {
		return
	}
	if r.known == nil || len(r.known) >= maxResolved {
		r.known = map[Name]*ResolvedAction{}
	}
	r.known[name] = a
}

func (r *resolvedActions) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = nil
	r.generation++
}

// resolve returns an action that id may invoke. name may lead through a binding.
func (c *Controller) resolve(ctx context.Context, id Identity, name Name) (*ResolvedAction, error) {
	known, generation := c.resolved.get(name)
	if known != nil {
		if !known.allows(id) {
			return nil, NotAuthorized(fullName(name))
		}
		return known, nil
	}
	found, err := c.readAction(ctx, id, name)
	if err != nil {
		return nil, err
	}
	a, err := newResolved(name, found)
	if err != nil {
		return nil, err
	}
	c.resolved.remember(name, a, generation)
	return a, nil
}

// ResolveWebAction returns the action that anybody may mean by name, which may lead
// through a binding, and the identity on whose behalf it is to be invoked: that of the
// namespace in name. It does not look whether the action is a web action.
func (c *Controller) ResolveWebAction(ctx context.Context, name Name) (*ResolvedAction, Identity, error) {
	owner, err := c.ownerOf(ctx, name.Namespace)
	if err != nil {
		return nil, Identity{}, err
	}
	a, err := c.resolve(ctx, owner, name)
	return a, owner, err
}

func newResolved(name Name, found *packagedAction) (*ResolvedAction, error) {
	doc, at := &found.Doc, found.row.Key
	a := &ResolvedAction{
		action: bus.Action{
			Namespace: at.Namespace, Package: at.Package, Name: at.Name,
			Version: doc.Version, Revision: found.row.Revision, CodeID: found.row.CodeID,
			Kind: doc.Exec.Kind, Main: doc.Exec.Main, Binary: doc.Exec.Binary,
			Env: map[string]string{}, Limits: doc.Limits,
		},
		annotations: doc.Annotations,
		isSequence:  doc.Exec.Kind == kindSequence,
		isConductor: doc.Annotations.isTrue("conductor", false),
		providesKey: doc.Annotations.isTrue("provide-api-key", true),
		namespace:   name.Namespace,
	}
	a.action.Image = doc.Exec.Image
	if a.action.Main == "" {
		a.action.Main = "main"
	}
	if found.pkg != nil {
		a.inPackage, a.isBinding, a.isPublic = true, found.pkg.isBinding(), found.pkg.provider.Doc.Publish
		if a.isBinding {
			a.action.Binding = pathOf(name)
		}
	}
	for _, component := range doc.Exec.Components {
		part, err := parseName(component)
		if err != nil {
			return nil, err
		}
		a.components = append(a.components, part)
	}
	a.bind(found.parameters())
	return a, nil
}

// bind takes over the parameters.
func (a *ResolvedAction) bind(params Parameters) {
	isFinal := string(a.annotations.Get("final")) == "true"
	for _, p := range params {
		if isFinal && string(p.Value) != "null" {
			a.final = append(a.final, p.Key)
		}
		if p.Init {
			a.action.Env[p.Key] = asEnvironment(p.Value)
		} else {
			a.defaults = append(a.defaults, p)
		}
	}
	a.action.Variant = variant(a.action.Env)
}

// variant tells environments apart; empty: there is none.
func variant(env map[string]string) string {
	if len(env) == 0 {
		return ""
	}
	text, err := store.Encode(env) // in the order of the keys
	if err != nil {                // cannot be: strings can be encoded
		return ""
	}
	sum := sha256.Sum256(text)
	return "#" + hex.EncodeToString(sum[:8])
}

// asEnvironment returns a string as it is, and anything else as JSON.
func asEnvironment(value json.RawMessage) string {
	var s string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}
