package controller

import (
	"context"
	"errors"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/store"
)

// PutPackage is the body of a PUT on a package.
type PutPackage struct {
	Put
	Binding Binding `json:"binding"`
}

// bindingAnnotation is set by the platform alone: some clients see of a list's
// packages only the annotations.
const bindingAnnotation = "binding"

// PutPackage creates or updates a package or a binding. What put does not say stays
// as it was.
func (c *Controller) PutPackage(ctx context.Context, id Identity, name Name, put PutPackage, overwrite bool) (*Package, error) {
	if name.Name == "default" {
		return nil, Refuse(http.StatusBadRequest, "Package name 'default' is reserved.")
	}
	if err := c.checkSizes(put.Put); err != nil {
		return nil, err
	}
	to, err := c.bindingOf(ctx, id, put.Binding)
	if err != nil {
		return nil, err
	}
	e, err := getToPut[Package](ctx, c, store.Packages, name, overwrite)
	if err != nil {
		return nil, err
	}
	if !to.isNone() {
		if !e.isNew() && e.Doc.Binding.isNone() {
			return nil, errNoBinding
		}
		if to.name() == name {
			return nil, errBindingToBinding
		}
		e.Doc.Binding = to
	}
	if err := e.Doc.apply(name, put.Put); err != nil {
		return nil, err
	}
	if put.Parameters != nil || e.Doc.Parameters == nil {
		e.Doc.Parameters = append(Parameters{}, put.Parameters...)
	}
	if err := e.Doc.annotate(); err != nil {
		return nil, err
	}
	return &e.Doc, putEntity(ctx, c, e, nil)
}

// bindingOf checks what a package is to be bound to: another that id may read.
func (c *Controller) bindingOf(ctx context.Context, id Identity, b Binding) (Binding, error) {
	if b.isNone() {
		return b, nil
	}
	to, err := id.Name(b.Namespace, b.Name)
	if err != nil {
		return b, err
	}
	pkg, err := c.readPackage(ctx, id, to, fullName(to))
	switch {
	case errors.Is(err, errNotFound):
		return b, errBindingToNothing
	case errors.Is(err, errCollection):
		return b, errBindingToOther
	case err != nil:
		return b, err
	case pkg.isBinding():
		return b, errBindingToBinding
	}
	return Binding{to.Namespace, to.Name}, nil
}

func (p *Package) annotate() error {
	p.Annotations = p.Annotations.without([]string{bindingAnnotation})
	if p.Binding.isNone() {
		return nil
	}
	value, err := store.Encode(p.Binding)
	p.Annotations = append(p.Annotations, Parameter{Key: bindingAnnotation, Value: value})
	return err
}

// Package returns a package with its actions; of a binding, with its provider's
// actions and all the parameters that they inherit.
func (c *Controller) Package(ctx context.Context, id Identity, name Name) (*Package, error) {
	pkg, err := c.readPackage(ctx, id, name, fullName(name))
	if err != nil {
		return nil, err
	}
	actions, err := c.actionsIn(ctx, pkg, Page{})
	if err != nil {
		return nil, err
	}
	doc := pkg.named.Doc
	doc.Parameters = pkg.parameters()
	doc.Actions, doc.Feeds = []any{}, []any{}
	for _, a := range actions {
		short := map[string]any{"name": a.Name, "version": a.Version, "annotations": a.Annotations}
		if a.Annotations.Get("feed") != nil {
			doc.Feeds = append(doc.Feeds, short)
		} else {
			doc.Actions = append(doc.Actions, short)
		}
	}
	return &doc, nil
}

// DeletePackage removes a package, which must be empty unless force is set; then
// its actions go with it. A binding goes alone, and what is bound to a package
// stays behind.
func (c *Controller) DeletePackage(ctx context.Context, name Name, force bool) (*Package, error) {
	e, err := get[Package](ctx, c, store.Packages, name)
	if err != nil {
		return nil, err
	}
	rows, err := c.store.List(ctx, store.Listing{Namespace: name.Namespace, Collection: store.Actions, Package: &name.Name})
	if err != nil {
		return nil, err
	}
	if n := len(rows); n > 0 && !force {
		noun := "entities"
		if n == 1 {
			noun = "entity"
		}
		return nil, Refuse(http.StatusConflict, "Package not empty (contains %d %s). Set force param or delete package contents.", n, noun)
	}
	for _, row := range rows {
		if err := remove(ctx, c, &Entity[Action]{row: row}); err != nil {
			return nil, err
		}
		c.changed(row.Key, row.Revision+1)
	}
	return &e.Doc, remove(ctx, c, e)
}

// A PackageSummary is a package in a list.
type PackageSummary struct {
	Common
	Binding Binding `json:"binding"`
}

// Packages lists packages, the last changed first; of another namespace than id's
// those that are published.
func (c *Controller) Packages(ctx context.Context, id Identity, namespace string, page Page) ([]PackageSummary, error) {
	all := store.Listing{Namespace: namespace, Collection: store.Packages}
	if id.Owns(namespace) {
		all.Limit, all.Skip = page.Limit, page.Skip
		return list[PackageSummary](ctx, c, all)
	}
	shared, err := c.publicPackages(ctx, all)
	if err != nil {
		return nil, err
	}
	shared = shared[min(page.Skip, len(shared)):]
	if page.Limit > 0 {
		shared = shared[:min(page.Limit, len(shared))]
	}
	return shared, nil
}

// CountPackages returns how many packages Packages would list, less skip.
func (c *Controller) CountPackages(ctx context.Context, id Identity, namespace string, skip int) (int, error) {
	if id.Owns(namespace) {
		return c.Count(ctx, namespace, store.Packages, nil, skip)
	}
	shared, err := c.publicPackages(ctx, store.Listing{Namespace: namespace, Collection: store.Packages})
	return max(len(shared)-skip, 0), err
}

func (c *Controller) publicPackages(ctx context.Context, all store.Listing) ([]PackageSummary, error) {
	packages, err := list[PackageSummary](ctx, c, all)
	if err != nil {
		return nil, err
	}
	shared := []PackageSummary{}
	for _, p := range packages {
		if p.Publish && p.Binding.isNone() {
			shared = append(shared, p)
		}
	}
	return shared, nil
}
