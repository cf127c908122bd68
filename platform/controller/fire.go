package controller

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// A Firing asks for one firing of a trigger.
type Firing struct {
	By          Identity
	Trigger     Name
	Args        json.RawMessage // of CheckArgs
	Transaction string
}

// Fire invokes the action of each active rule of the trigger, and writes an
// activation record that lists what came of it. The id is empty when there is no
// active rule.
func (c *Controller) Fire(ctx context.Context, f Firing) (id string, err error) {
	if err := c.gate.enter(); err != nil {
		return "", err
	}
	defer c.gate.leave()
	e, err := get[Trigger](ctx, c, store.Triggers, f.Trigger)
	if err != nil {
		return "", err
	}
	rules, err := c.rulesOf(ctx, f.Trigger)
	if err != nil || !anyActive(rules) {
		return "", err
	}
	args, err := merge(e.Doc.Parameters, f.Args)
	if err != nil {
		return "", err
	}
	rec := &store.Record{
		ID: newActivationID(), Name: f.Trigger.Name, Path: f.Trigger.Name,
		Namespace: f.By.Namespace, Subject: f.By.Subject, Version: e.Doc.Version,
		Start: time.Now().UnixMilli(), Result: f.Args,
	}
	for _, r := range rules {
		line, err := store.Encode(c.fireRule(ctx, f, r, args))
		if err != nil {
			return "", err
		}
		rec.Logs = append(rec.Logs, string(line))
	}
	act, err := rec.Encode()
	if err != nil {
		return "", err
	}
	return rec.ID, c.store.KeepActivation(context.WithoutCancel(ctx), act)
}

func anyActive(rules []*Entity[Rule]) bool {
	for _, r := range rules {
		if r.Doc.Status == RuleActive {
			return true
		}
	}
	return false
}

// ruleResult is a line in a trigger's activation record.
type ruleResult struct {
	Status       int    `json:"statusCode"`
	Success      bool   `json:"success"`
	ActivationID string `json:"activationId,omitempty"`
	Error        string `json:"error,omitempty"`
	Rule         string `json:"rule"`
	Action       string `json:"action"`
}

func (c *Controller) fireRule(ctx context.Context, f Firing, r *Entity[Rule], args json.RawMessage) ruleResult {
	res := ruleResult{Rule: fullName(r.row.Key), Action: fullName(r.Doc.Action.name())}
	if r.Doc.Status != RuleActive {
		res.Status = store.StatusApplicationError
		res.Error = "Rule '" + res.Rule + "' is inactive, action '" + res.Action + "' was not activated."
		return res
	}
	id, _, err := c.invoke(ctx, Invocation{
		By: f.By, Action: r.Doc.Action.name(), Args: args, Transaction: f.Transaction,
	})
	var refused *Error
	switch {
	case err == nil:
		res.Success, res.ActivationID = true, id
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		res.Status, res.Error = store.StatusApplicationError, refused.Message
	default:
		c.log.Error("a rule could not invoke its action", "rule", res.Rule, "action", res.Action, "error", err)
		res.Status, res.Error = store.StatusWhiskError, "There was an internal server error."
	}
	return res
}
