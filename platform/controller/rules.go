package controller

import (
	"context"
	"errors"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/store"
)

// PutRule is the body of a PUT on a rule.
type PutRule struct {
	Put
	Trigger string `json:"trigger"`
	Action  string `json:"action"`
}

// PutRule creates or updates a rule. A new one is active; what put does not say
// stays as it was.
func (c *Controller) PutRule(ctx context.Context, id Identity, name Name, put PutRule, overwrite bool) (*Rule, error) {
	if err := c.checkSizes(put.Put); err != nil {
		return nil, err
	}
	e, err := getToPut[Rule](ctx, c, store.Rules, name, overwrite)
	if err != nil {
		return nil, err
	}
	r := &e.Doc
	if e.isNew() && (put.Trigger == "" || put.Action == "") {
		return nil, Refuse(http.StatusBadRequest, "rule requires a valid trigger and a valid action")
	}
	if err := c.connect(ctx, id, r, put); err != nil {
		return nil, err
	}
	if err := r.apply(name, put.Put); err != nil {
		return nil, err
	}
	if e.isNew() {
		r.Status = RuleActive
	}
	e.row.Ref = fullName(r.Trigger.name())
	return r, putEntity(ctx, c, e, nil)
}

// connect sets the rule's two ends, which must be there.
func (c *Controller) connect(ctx context.Context, id Identity, r *Rule, put PutRule) error {
	if put.Trigger != "" {
		name, err := id.reference(put.Trigger)
		if err != nil {
			return err
		}
		if !id.Owns(name.Namespace) {
			return NotAuthorized(fullName(name))
		}
		r.Trigger = refTo(name)
	}
	if put.Action != "" {
		name, err := id.reference(put.Action)
		if err != nil {
			return err
		}
		r.Action = refTo(name)
	}
	if _, err := get[Common](ctx, c, store.Triggers, r.Trigger.name()); err != nil {
		return Refuse(http.StatusBadRequest, "trigger %s: %v", fullName(r.Trigger.name()), err)
	}
	if _, err := c.readAction(ctx, id, r.Action.name()); err != nil {
		var refused *Error
		if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
			return err
		}
		return Refuse(http.StatusBadRequest, "action %s: %v", fullName(r.Action.name()), err)
	}
	return nil
}

// Rule returns a rule.
func (c *Controller) Rule(ctx context.Context, name Name) (*Rule, error) {
	e, err := get[Rule](ctx, c, store.Rules, name)
	if err != nil {
		return nil, err
	}
	return &e.Doc, nil
}

// SetRuleStatus makes a rule active or inactive.
func (c *Controller) SetRuleStatus(ctx context.Context, name Name, status string) error {
	if status != RuleActive && status != RuleInactive {
		return Malformed("the status of a rule is 'active' or 'inactive', not '%s'", status)
	}
	e, err := get[Rule](ctx, c, store.Rules, name)
	if err != nil {
		return err
	}
	if e.Doc.Status == status {
		return nil
	}
	if _, err := get[Common](ctx, c, store.Triggers, e.Doc.Trigger.name()); err != nil && status == RuleActive {
		return Refuse(http.StatusNotFound, "Only rules with existing triggers can be activated")
	}
	e.Doc.Status = status
	return putEntity(ctx, c, e, nil)
}

// DeleteRule removes a rule.
func (c *Controller) DeleteRule(ctx context.Context, name Name) (*Rule, error) {
	e, err := get[Rule](ctx, c, store.Rules, name)
	if err != nil {
		return nil, err
	}
	e.Doc.Status = RuleInactive
	return &e.Doc, remove(ctx, c, e)
}

// Rules lists rules, the last changed first.
func (c *Controller) Rules(ctx context.Context, namespace string, page Page) ([]Rule, error) {
	return list[Rule](ctx, c, store.Listing{
		Namespace: namespace, Collection: store.Rules, Limit: page.Limit, Skip: page.Skip,
	})
}
