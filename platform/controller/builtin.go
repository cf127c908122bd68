package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// SystemNamespace holds what the platform itself offers to everybody.
const SystemNamespace = "whisk.system"

// KindBuiltin is the kind of the actions that the platform itself carries out. No
// PUT can ask for it.
const KindBuiltin = "builtin"

// A Builtin carries out an action in the platform. Its result is a JSON object. A
// *Failure is told to the caller as the action's own error; any other error is
// logged, and the caller learns only that the platform failed.
type Builtin func(ctx context.Context, call BuiltinCall) (result any, err error)

// A BuiltinCall is one invocation of a Builtin.
type BuiltinCall struct {
	By          Identity
	Args        json.RawMessage // merged with the parameters of the action and its package
	Transaction string
}

// A Failure is what an action says when it refuses: its result is {"error": Result}.
type Failure struct{ Result any }

// Error returns the result as text.
func (f *Failure) Error() string { return fmt.Sprint(f.Result) }

// A SystemPackage is a published package of SystemNamespace.
type SystemPackage struct {
	Name        string
	Annotations Parameters
	Parameters  Parameters
	Actions     []SystemAction
}

// A SystemAction is an action of a SystemPackage.
type SystemAction struct {
	Name        string
	Annotations Parameters
	Parameters  Parameters
	Run         Builtin
}

// Install makes a package of the platform's own known: its entities are written as
// any other's, so that they can be listed, read and bound like those, and its
// actions are carried out by their Builtin. It is called before the first request.
func (c *Controller) Install(ctx context.Context, p SystemPackage) error {
	name := Name{Namespace: SystemNamespace, Name: p.Name}
	err := install(ctx, c, store.Packages, name, func(e *Package) error {
		published := true
		e.Parameters = append(Parameters{}, p.Parameters...)
		return e.apply(name, Put{Publish: &published, Annotations: p.Annotations})
	})
	if err != nil {
		return fmt.Errorf("installing the package %s: %w", fullName(name), err)
	}
	for _, a := range p.Actions {
		name := Name{Namespace: SystemNamespace, Package: p.Name, Name: a.Name}
		err := install(ctx, c, store.Actions, name, func(e *Action) error {
			e.Exec, e.Limits = Exec{Kind: KindBuiltin}, c.cfg.Limits.defaults()
			e.Parameters = append(Parameters{}, a.Parameters...)
			err := e.apply(name, Put{Annotations: a.Annotations})
			e.annotate()
			return err
		})
		if err != nil {
			return fmt.Errorf("installing the action %s: %w", fullName(name), err)
		}
		c.builtins[name] = a.Run
	}
	return nil
}

// install writes an entity of the system, unless it is there as fill makes it.
func install[T any](ctx context.Context, c *Controller, in store.Collection, name Name, fill func(*T) error) error {
	e, err := getToPut[T](ctx, c, in, name, true)
	if err != nil {
		return err
	}
	old := e.row.Doc
	if err := fill(&e.Doc); err != nil {
		return err
	}
	same, err := sameBut(old, e.Doc, "version", "updated")
	if err != nil || same {
		return err
	}
	return putEntity(ctx, c, e, nil)
}

// sameBut reports whether a stored document says what doc says, but for those fields.
func sameBut(stored []byte, doc any, fields ...string) (bool, error) {
	if len(stored) == 0 {
		return false, nil
	}
	text, err := store.Encode(doc)
	if err != nil {
		return false, fmt.Errorf("encoding a document of the system: %w", err)
	}
	var one, other map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(stored, &one), json.Unmarshal(text, &other)); err != nil {
		return false, fmt.Errorf("comparing documents of the system: %w", err)
	}
	for _, field := range fields {
		delete(one, field)
		delete(other, field)
	}
	if len(one) != len(other) {
		return false, nil
	}
	for field, value := range one {
		if string(value) != string(other[field]) {
			return false, nil
		}
	}
	return true, nil
}

// builtinWithin bounds what a builtin may take.
const builtinWithin = 30 * time.Second

// invokeBuiltin carries a run out at once, and has its record kept.
func (c *Controller) invokeBuiltin(ctx context.Context, run *bus.Run, by Identity, keep func(context.Context, *store.Activation) error) (*bus.Completed, error) {
	a := &run.Action
	do := c.builtins[Name{Namespace: a.Namespace, Package: a.Package, Name: a.Name}]
	if do == nil {
		return nil, Refuse(http.StatusNotFound, "The action %s is of a version of the platform that is not running.", a.FullName())
	}
	// Who hangs up does not leave half of it done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), builtinWithin)
	defer cancel()
	allowed, err := c.Allowance(ctx, run.Namespace) // before, since what is carried out has a record in any case
	if err != nil {
		return nil, err
	}
	start := time.Now()
	status, result := c.carryOut(ctx, do, BuiltinCall{By: by, Args: run.Args, Transaction: run.Transaction}, a)
	rec := builtinRecord(run, start, status, result)
	rec.Unkept = !allowed.StoreActivations
	act, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	if err := keep(ctx, act); err != nil {
		return nil, err
	}
	return &bus.Completed{
		ActivationID: run.ActivationID, Status: status, Duration: *rec.Duration,
		Head: act.Head, Response: act.Response, Result: result, Logs: act.Logs,
	}, nil
}

func builtinRecord(run *bus.Run, start time.Time, status int, result json.RawMessage) *store.Record {
	a, end := &run.Action, time.Now()
	duration := end.UnixMilli() - start.UnixMilli()
	r := &store.Record{
		ID: run.ActivationID, Cause: run.Cause, Name: a.Name, Path: a.ListPath(),
		Namespace: run.Namespace, Subject: run.Subject, Version: a.Version,
		Start: start.UnixMilli(), End: end.UnixMilli(), Duration: &duration,
		Status: status, Result: result,
		Annotations: []store.Annotation{
			{Key: "path", Value: a.FullName()[1:]}, {Key: "waitTime", Value: int64(0)}, {Key: "kind", Value: KindBuiltin},
			{Key: "timeout", Value: false}, {Key: "limits", Value: a.Limits},
		},
	}
	if a.Binding != "" {
		r.Annotations = append(r.Annotations, store.Annotation{Key: "binding", Value: a.Binding})
	}
	if run.CausedBy != "" {
		r.Annotations = append(r.Annotations, store.Annotation{Key: "causedBy", Value: run.CausedBy})
	}
	return r
}

// carryOut returns what a builtin came to, as a record's status and result.
func (c *Controller) carryOut(ctx context.Context, run Builtin, call BuiltinCall, a *bus.Action) (int, json.RawMessage) {
	result, err := run(ctx, call)
	status := store.StatusSuccess
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		status, result = store.StatusApplicationError, map[string]any{"error": failure.Result}
	case err != nil:
		c.log.Error("an action of the platform failed", "action", a.FullName(), "namespace", call.By.Namespace, "error", err)
		status, result = store.StatusWhiskError, map[string]any{"error": "There was an internal server error."}
	}
	text, err := store.Encode(result)
	if err != nil {
		return store.StatusWhiskError, json.RawMessage(`{"error":"There was an internal server error."}`)
	}
	return status, text
}
