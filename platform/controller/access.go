package controller

import (
	"context"
	"errors"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/store"
)

// Owns reports whether a namespace is the identity's own.
func (id Identity) Owns(namespace string) bool { return namespace == id.Namespace }

// Expand returns the namespace that a path means: "_" is the identity's own. It
// says nothing about who may.
func (id Identity) Expand(namespace string) string {
	if namespace == "_" {
		return id.Namespace
	}
	return namespace
}

// NotAuthorized is the refusal to whoever has no right to what: a namespace, or a
// full name in it.
func NotAuthorized(what string) *Error {
	return Refuse(http.StatusForbidden, "The supplied authentication is not authorized to access '%s'.", what)
}

// hide keeps from others than the owner whether a package is there.
func hide(err error, isOwner bool, what string) error {
	if !isOwner && (errors.Is(err, errNotFound) || errors.Is(err, errCollection)) {
		return NotAuthorized(what)
	}
	return err
}

// A boundPackage is a package as it was named, with the one that holds its
// actions: itself, or what it is bound to.
type boundPackage struct {
	named    *Entity[Package]
	provider *Entity[Package]
}

func (p *boundPackage) isBinding() bool { return p.named != p.provider }

// parameters are what the package's actions inherit: a binding's come before its
// provider's.
func (p *boundPackage) parameters() Parameters {
	if !p.isBinding() {
		return p.named.Doc.Parameters
	}
	return p.named.Doc.Parameters.over(p.provider.Doc.Parameters)
}

// readPackage returns a package that id may read: its own, a published one, or an
// own binding to one of these. what is the name that a refusal tells.
func (c *Controller) readPackage(ctx context.Context, id Identity, name Name, what string) (*boundPackage, error) {
	named, err := c.readProvider(ctx, id, name, what)
	if err != nil || named.Doc.Binding.isNone() {
		return &boundPackage{named, named}, err
	}
	to := named.Doc.Binding.name()
	if to == name {
		return nil, Refuse(http.StatusUnprocessableEntity, "Package binding '%s' contains a circular reference.", fullName(to))
	}
	provider, err := c.readProvider(ctx, id, to, what)
	if err != nil {
		return nil, err
	}
	if !provider.Doc.Binding.isNone() { // it was a package when it was bound
		return nil, errBindingToBinding
	}
	return &boundPackage{named, provider}, nil
}

// readProvider reads one package of a chain. A binding is never shared.
func (c *Controller) readProvider(ctx context.Context, id Identity, name Name, what string) (*Entity[Package], error) {
	isOwner := id.Owns(name.Namespace)
	e, err := get[Package](ctx, c, store.Packages, name)
	if err != nil {
		return nil, hide(err, isOwner, what)
	}
	if !isOwner && (!e.Doc.Publish || !e.Doc.Binding.isNone()) {
		return nil, NotAuthorized(what)
	}
	return e, nil
}

// A packagedAction is an action with the package that it was found through; nil:
// it is in the default package.
type packagedAction struct {
	*Entity[Action]
	pkg *boundPackage
}

// parameters are the action's own, over those that it inherits.
func (a *packagedAction) parameters() Parameters {
	if a.pkg == nil {
		return a.Doc.Parameters
	}
	return a.Doc.Parameters.over(a.pkg.parameters())
}

// readAction returns an action that id may read and invoke. name may lead through
// a binding.
func (c *Controller) readAction(ctx context.Context, id Identity, name Name) (*packagedAction, error) {
	pkg, name, err := c.throughPackage(ctx, id, name)
	if err != nil {
		return nil, err
	}
	e, err := get[Action](ctx, c, store.Actions, name)
	if err != nil {
		return nil, err
	}
	return &packagedAction{e, pkg}, nil
}

// throughPackage checks that id may read an action, as far as that does not need
// the action itself, and returns its real name.
func (c *Controller) throughPackage(ctx context.Context, id Identity, name Name) (*boundPackage, Name, error) {
	if name.Package == "" {
		if !id.Owns(name.Namespace) {
			return nil, name, NotAuthorized(fullName(name))
		}
		return nil, name, nil
	}
	pkg, err := c.readPackage(ctx, id, packageOf(name), fullName(name))
	if err != nil {
		return nil, name, err
	}
	at := pkg.provider.row.Key
	return pkg, Name{Namespace: at.Namespace, Package: at.Name, Name: name.Name}, nil
}

// packageOf names the package of an action.
func packageOf(action Name) Name { return Name{Namespace: action.Namespace, Name: action.Package} }
