package controller

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/store"
)

// PutPackage is the body of a PUT on a package.
type PutPackage struct {
	Put
	Binding json.RawMessage `json:"binding"`
}

// PutPackage creates or updates a package. What put does not say stays as it was.
func (c *Controller) PutPackage(ctx context.Context, name Name, put PutPackage, overwrite bool) (*Package, error) {
	if name.Name == "default" {
		return nil, Refuse(http.StatusBadRequest, "Package name 'default' is reserved.")
	}
	if b := string(put.Binding); b != "" && b != "null" && b != "{}" {
		return nil, Refuse(http.StatusBadRequest, "Package bindings are not supported yet.")
	}
	if err := c.checkSizes(put.Put); err != nil {
		return nil, err
	}
	e, err := getToPut[Package](ctx, c, store.Packages, name, overwrite)
	if err != nil {
		return nil, err
	}
	if err := e.Doc.apply(name, put.Put); err != nil {
		return nil, err
	}
	if put.Parameters != nil || e.Doc.Parameters == nil {
		e.Doc.Parameters = append(Parameters{}, put.Parameters...)
	}
	return &e.Doc, putEntity(ctx, c, e, nil)
}

// Package returns a package with its actions.
func (c *Controller) Package(ctx context.Context, name Name) (*Package, error) {
	e, err := get[Package](ctx, c, store.Packages, name)
	if err != nil {
		return nil, err
	}
	actions, err := c.Actions(ctx, name.Namespace, &name.Name, Page{})
	if err != nil {
		return nil, err
	}
	e.Doc.Actions, e.Doc.Feeds = []any{}, []any{}
	for _, a := range actions {
		short := map[string]any{"name": a.Name, "version": a.Version, "annotations": a.Annotations}
		if a.Annotations.Get("feed") != nil {
			e.Doc.Feeds = append(e.Doc.Feeds, short)
		} else {
			e.Doc.Actions = append(e.Doc.Actions, short)
		}
	}
	return &e.Doc, nil
}

// DeletePackage removes a package, which must be empty unless force is set; then
// its actions go with it.
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
	}
	return &e.Doc, remove(ctx, c, e)
}

// A PackageSummary is a package in a list.
type PackageSummary struct {
	Common
	Binding struct{} `json:"binding"`
}

// Packages lists packages, the last changed first.
func (c *Controller) Packages(ctx context.Context, namespace string, page Page) ([]PackageSummary, error) {
	return list[PackageSummary](ctx, c, store.Listing{
		Namespace: namespace, Collection: store.Packages, Limit: page.Limit, Skip: page.Skip,
	})
}
