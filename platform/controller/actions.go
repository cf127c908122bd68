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
	// Components are a sequence's.
	Components json.RawMessage `json:"components"`
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
func (c *Controller) PutAction(ctx context.Context, id Identity, name Name, put PutAction, overwrite bool) (*Action, error) {
	if err := c.checkOwnPackage(ctx, name); err != nil {
		return nil, err
	}
	components, err := c.components(ctx, id, put.Exec)
	if err != nil {
		return nil, err
	}
	e, err := getToPut[Action](ctx, c, store.Actions, name, overwrite)
	if err != nil {
		return nil, err
	}
	if components != nil {
		if err := c.checkSequence(ctx, name, components); err != nil {
			return nil, err
		}
	}
	allowed, err := c.Allowance(ctx, name.Namespace)
	if err != nil {
		return nil, err
	}
	code, err := c.applyAction(e, name, put, components, allowed)
	if err != nil {
		return nil, err
	}
	if err := putEntity(ctx, c, e, code); err != nil {
		return nil, err
	}
	c.changed(name, e.row.Revision)
	a := e.Doc
	return &a, c.addCode(ctx, &a, e.row.CodeID)
}

// checkOwnPackage refuses to change an action whose package is not there, or is a
// binding.
func (c *Controller) checkOwnPackage(ctx context.Context, action Name) error {
	if action.Package == "" {
		return nil
	}
	pkg, err := get[Package](ctx, c, store.Packages, packageOf(action))
	if err == nil && !pkg.Doc.Binding.isNone() {
		return errOnBinding
	}
	return err
}

// addCode adds to an action what is stored beside it.
func (c *Controller) addCode(ctx context.Context, a *Action, id int64) error {
	if id == 0 || a.Exec.Kind == kindSequence {
		return nil
	}
	code, err := c.store.Code(ctx, id)
	if err != nil {
		return stored(err)
	}
	a.Exec.show(code)
	return nil
}

// applyAction makes e what put asks for within what is allowed, and returns the new code, if there is any.
func (c *Controller) applyAction(e *Entity[Action], name Name, put PutAction, components []Name, allowed Allowance) (*string, error) {
	if err := c.checkSizes(put.Put); err != nil {
		return nil, err
	}
	a := &e.Doc
	if e.isNew() {
		if put.Exec == nil {
			return nil, Refuse(http.StatusBadRequest, "exec undefined")
		}
		a.Limits, a.Parameters = allowed.defaults(), Parameters{}
		if put.Annotations.Get("provide-api-key") == nil {
			put.Annotations = put.Annotations.with("provide-api-key", json.RawMessage("false"))
		}
	} else { // an action's annotations stay, unlike a package's
		put.Annotations = put.Annotations.over(a.Annotations.without(put.DelAnnotations))
	}
	if err := a.apply(name, put.Put); err != nil {
		return nil, err
	}
	var err error
	if a.Limits, err = allowed.apply(a.Limits, put.Limits); err != nil {
		return nil, err
	}
	wasSequence := a.Exec.Kind == kindSequence
	code, err := c.applyExec(a, put.Exec, components, allowed)
	if err != nil {
		return nil, err
	}
	if err := a.applyParameters(put.Parameters, wasSequence); err != nil {
		return nil, err
	}
	a.annotate()
	return code, nil
}

// applyParameters sets the parameters. A sequence has one, the names of its parts,
// which no other action inherits.
func (a *Action) applyParameters(given Parameters, wasSequence bool) error {
	switch {
	case a.Exec.Kind == kindSequence:
		names, err := store.Encode(a.Exec.Components)
		a.Parameters = Parameters{{Key: "_actions", Value: names}}
		return err
	case given != nil:
		a.Parameters = given
	case wasSequence:
		a.Parameters = Parameters{}
	}
	return nil
}

func (c *Controller) applyExec(a *Action, put *PutExec, components []Name, allowed Allowance) (*string, error) {
	if put == nil {
		return nil, c.checkKind(a.Exec.Kind)
	}
	if components != nil {
		a.Exec = Exec{Kind: kindSequence}
		for _, name := range components {
			a.Exec.Components = append(a.Exec.Components, "/"+fullName(name))
		}
		return new(string), nil // what was there before is let go of
	}
	kind, err := c.resolveKind(put.Kind)
	if err != nil {
		return nil, err
	}
	if err := allowed.checkKind(kind); err != nil {
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
	a.Annotations = a.Annotations.with("exec", json.RawMessage(`"`+a.Exec.Kind+`"`))
	if a.Exec.Kind == kindSequence {
		a.Annotations = a.Annotations.without([]string{"binary"})
		return
	}
	binary := "false"
	if a.Exec.Binary {
		binary = "true"
	}
	a.Annotations = a.Annotations.with("binary", json.RawMessage(binary))
}

// Action returns an action with all its parameters, with its code or without. name
// may lead through a binding.
func (c *Controller) Action(ctx context.Context, id Identity, name Name, withCode bool) (*Action, error) {
	found, err := c.readAction(ctx, id, name)
	if err != nil {
		return nil, err
	}
	a := found.Doc
	a.Parameters = found.parameters()
	if !withCode {
		return &a, nil
	}
	return &a, c.addCode(ctx, &a, found.row.CodeID)
}

// DeleteAction removes an action and returns what it was, without its code.
func (c *Controller) DeleteAction(ctx context.Context, name Name) (*Action, error) {
	if err := c.checkOwnPackage(ctx, name); err != nil {
		return nil, err
	}
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

// Actions lists the actions of all of id's own packages, the last changed first.
func (c *Controller) Actions(ctx context.Context, id Identity, namespace string, page Page) ([]ActionSummary, error) {
	if !id.Owns(namespace) {
		return nil, NotAuthorized(namespace)
	}
	return list[ActionSummary](ctx, c, store.Listing{
		Namespace: namespace, Collection: store.Actions, Limit: page.Limit, Skip: page.Skip,
	})
}

// PackageActions lists the actions of a package, or of a binding's provider.
func (c *Controller) PackageActions(ctx context.Context, id Identity, pkg Name, page Page) ([]ActionSummary, error) {
	found, err := c.readPackage(ctx, id, pkg, fullName(pkg))
	if err != nil {
		return nil, err
	}
	return c.actionsIn(ctx, found, page)
}

func (c *Controller) actionsIn(ctx context.Context, pkg *boundPackage, page Page) ([]ActionSummary, error) {
	at := pkg.provider.row.Key
	return list[ActionSummary](ctx, c, store.Listing{
		Namespace: at.Namespace, Collection: store.Actions, Package: &at.Name, Limit: page.Limit, Skip: page.Skip,
	})
}

// CountActions returns how many actions Actions would list, or PackageActions where
// pkg is not nil, less skip.
func (c *Controller) CountActions(ctx context.Context, id Identity, namespace string, pkg *Name, skip int) (int, error) {
	if pkg == nil {
		if !id.Owns(namespace) {
			return 0, NotAuthorized(namespace)
		}
		return c.Count(ctx, namespace, store.Actions, nil, skip)
	}
	found, err := c.readPackage(ctx, id, *pkg, fullName(*pkg))
	if err != nil {
		return 0, err
	}
	at := found.provider.row.Key
	return c.Count(ctx, at.Namespace, store.Actions, &at.Name, skip)
}
