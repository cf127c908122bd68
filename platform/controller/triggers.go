package controller

import (
	"context"

	"github.com/whiskaway/whiskaway/platform/store"
)

// PutTrigger creates or updates a trigger. What put does not say stays as it was.
func (c *Controller) PutTrigger(ctx context.Context, name Name, put Put, overwrite bool) (*Trigger, error) {
	if err := c.checkSizes(put); err != nil {
		return nil, err
	}
	e, err := getToPut[Trigger](ctx, c, store.Triggers, name, overwrite)
	if err != nil {
		return nil, err
	}
	t := &e.Doc
	if err := t.apply(name, put); err != nil {
		return nil, err
	}
	if put.Parameters != nil || t.Parameters == nil {
		t.Parameters = append(Parameters{}, put.Parameters...)
	}
	if err := putEntity(ctx, c, e, nil); err != nil {
		return nil, err
	}
	return t, c.addLinks(ctx, name, t)
}

// Trigger returns a trigger with its rules.
func (c *Controller) Trigger(ctx context.Context, name Name) (*Trigger, error) {
	e, err := get[Trigger](ctx, c, store.Triggers, name)
	if err != nil {
		return nil, err
	}
	return &e.Doc, c.addLinks(ctx, name, &e.Doc)
}

func (c *Controller) addLinks(ctx context.Context, name Name, t *Trigger) error {
	rules, err := c.rulesOf(ctx, name)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if t.Rules == nil {
			t.Rules = map[string]Link{}
		}
		t.Rules[fullName(r.row.Key)] = Link{r.Doc.Action, r.Doc.Status}
	}
	return nil
}

// rulesOf returns the rules that name a trigger, the oldest first.
func (c *Controller) rulesOf(ctx context.Context, trigger Name) ([]*Entity[Rule], error) {
	rows, err := c.store.Referring(ctx, trigger.Namespace, fullName(trigger))
	if err != nil {
		return nil, err
	}
	var rules []*Entity[Rule]
	for _, row := range rows {
		if row.Collection != store.Rules {
			continue
		}
		r, err := decode[Rule](row)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// DeleteTrigger removes a trigger. Its rules stay, and become inactive.
func (c *Controller) DeleteTrigger(ctx context.Context, name Name) (*Trigger, error) {
	e, err := get[Trigger](ctx, c, store.Triggers, name)
	if err != nil {
		return nil, err
	}
	if err := remove(ctx, c, e); err != nil {
		return nil, err
	}
	rules, err := c.rulesOf(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		r.Doc.Status = RuleInactive
		if err := putEntity(ctx, c, r, nil); err != nil {
			return nil, err
		}
	}
	return &e.Doc, nil
}

// Triggers lists triggers, the last changed first.
func (c *Controller) Triggers(ctx context.Context, namespace string, page Page) ([]Common, error) {
	return list[Common](ctx, c, store.Listing{
		Namespace: namespace, Collection: store.Triggers, Limit: page.Limit, Skip: page.Skip,
	})
}
