package controller

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// PutExec is the exec that a PUT carries.
type PutExec struct {
	Kind string  `json:"kind"`
	Code *string `json:"code"`
	Main string  `json:"main"`
	// Image is that of kind "blackbox".
	Image string `json:"image"`
}

// PutAction is the body of a PUT on an action.
type PutAction struct {
	Put
	Exec   *PutExec  `json:"exec"`
	Limits PutLimits `json:"limits"`
	// DelAnnotations are the keys of annotations that an update removes.
	DelAnnotations []string `json:"delAnnotations"`
}

// PutAction creates or updates an action. What put does not say stays as it was.
func (c *Controller) PutAction(ctx context.Context, name Name, put PutAction, overwrite bool) (*Action, error) {
	if name.Package != "" {
		if _, err := get[Package](ctx, c, store.Packages, Name{Namespace: name.Namespace, Name: name.Package}); err != nil {
			return nil, err
		}
	}
	e, err := getToPut[Action](ctx, c, store.Actions, name, overwrite)
	if err != nil {
		return nil, err
	}
	code, err := c.applyAction(e, name, put)
	if err != nil {
		return nil, err
	}
	if err := putEntity(ctx, c, e, code); err != nil {
		return nil, err
	}
	c.changed(name, e.row.Revision)
	a := e.Doc
	if code == nil {
		text, err := c.store.Code(ctx, e.row.CodeID)
		if err != nil {
			return nil, stored(err)
		}
		code = &text
	}
	a.Exec.show(*code)
	return &a, nil
}

// applyAction makes e what put asks for, and returns the new code, if there is any.
func (c *Controller) applyAction(e *Entity[Action], name Name, put PutAction) (*string, error) {
	if err := c.checkParameters(put.Parameters); err != nil {
		return nil, err
	}
	a := &e.Doc
	if e.isNew() {
		if put.Exec == nil {
			return nil, Refuse(http.StatusBadRequest, "exec undefined")
		}
		a.Limits, a.Parameters = c.cfg.Limits.defaults(), Parameters{}
		if put.Annotations.Get("provide-api-key") == nil {
			put.Annotations = put.Annotations.with("provide-api-key", json.RawMessage("false"))
		}
	} else { // an action's annotations stay, unlike a package's
		put.Annotations = put.Annotations.over(a.Annotations.without(put.DelAnnotations))
	}
	if err := a.apply(name, put.Put); err != nil {
		return nil, err
	}
	if put.Parameters != nil {
		a.Parameters = put.Parameters
	}
	var err error
	if a.Limits, err = c.cfg.Limits.apply(a.Limits, put.Limits); err != nil {
		return nil, err
	}
	code, err := c.applyExec(a, put.Exec)
	if err != nil {
		return nil, err
	}
	a.annotate()
	return code, nil
}

func (c *Controller) applyExec(a *Action, put *PutExec) (*string, error) {
	if put == nil {
		return nil, c.checkKind(a.Exec.Kind)
	}
	kind, err := c.resolveKind(put.Kind)
	if err != nil {
		return nil, err
	}
	if kind == kindBlackbox {
		return c.applyImage(a, put)
	}
	if err := c.checkKind(kind); err != nil {
		return nil, err
	}
	if put.Code == nil || *put.Code == "" {
		return nil, Malformed("'code' must be a string defined in 'exec' for '%s' actions", kind)
	}
	if size := int64(len(*put.Code)); size > c.cfg.Limits.Code {
		return nil, TooLarge("exec", size, c.cfg.Limits.Code)
	}
	if put.Main == "" && c.kind(kind).RequireMain {
		return nil, Malformed("'main' must be a string defined in 'exec' for '%s' actions", kind)
	}
	a.Exec = Exec{Kind: kind, Main: put.Main, Binary: isBinary(*put.Code)}
	return put.Code, nil
}

// annotate adds what OpenWhisk adds.
func (a *Action) annotate() {
	binary := "false"
	if a.Exec.Binary {
		binary = "true"
	}
	a.Annotations = a.Annotations.with("exec", json.RawMessage(`"`+a.Exec.Kind+`"`)).
		with("binary", json.RawMessage(binary))
}

// Action returns an action, with its code or without.
func (c *Controller) Action(ctx context.Context, name Name, withCode bool) (*Action, error) {
	e, err := get[Action](ctx, c, store.Actions, name)
	if err != nil {
		return nil, err
	}
	if name.Package != "" {
		pkg, err := get[Package](ctx, c, store.Packages, Name{Namespace: name.Namespace, Name: name.Package})
		if err != nil {
			return nil, err
		}
		e.Doc.Parameters = e.Doc.Parameters.over(pkg.Doc.Parameters)
	}
	if withCode {
		code, err := c.store.Code(ctx, e.row.CodeID)
		if err != nil {
			return nil, stored(err)
		}
		e.Doc.Exec.show(code)
	}
	return &e.Doc, nil
}

// DeleteAction removes an action and returns what it was, without its code.
func (c *Controller) DeleteAction(ctx context.Context, name Name) (*Action, error) {
	e, err := get[Action](ctx, c, store.Actions, name)
	if err != nil {
		return nil, err
	}
	if err := remove(ctx, c, e); err != nil {
		return &e.Doc, err
	}
	c.changed(name, e.row.Revision+1)
	return &e.Doc, nil
}

// changed tells that older revisions than this one run no more.
func (c *Controller) changed(name Name, revision int64) {
	if c.cfg.Changed != nil {
		c.cfg.Changed("/"+fullName(name), revision)
	}
}

// An ActionSummary is an action in a list.
type ActionSummary struct {
	Common
	Limits bus.Limits `json:"limits"`
	Exec   struct {
		Binary bool `json:"binary"`
	} `json:"exec"`
}

// Actions lists actions, the last changed first; pkg nil: of all packages.
func (c *Controller) Actions(ctx context.Context, namespace string, pkg *string, page Page) ([]ActionSummary, error) {
	return list[ActionSummary](ctx, c, store.Listing{
		Namespace: namespace, Collection: store.Actions, Package: pkg, Limit: page.Limit, Skip: page.Skip,
	})
}
