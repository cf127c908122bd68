package controller

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/bus"
)

// The annotations of web actions.
const (
	annotationWeb     = "web-export"
	annotationRaw     = "raw-http"
	annotationOptions = "web-custom-options"
	annotationAuth    = "require-whisk-auth"
)

// A WebAction is an action that anybody may call by its URL. It runs on behalf of the
// namespace that the URL names.
type WebAction struct {
	action *ResolvedAction
	owner  Identity
}

// WebName returns the name that a web action's URL means; the package "default" is none.
// The error is a 404.
func WebName(namespace, pkg, name string) (Name, error) {
	for _, part := range []string{namespace, pkg, name} {
		if checkName(part) != nil {
			return Name{}, errNotFound
		}
	}
	if pkg == "default" {
		pkg = ""
	}
	return Name{Namespace: namespace, Package: pkg, Name: name}, nil
}

// WebAction returns the action of that name, which may lead through a binding. The error is
// a 404 when there is none, or none that is a web action: nobody learns which.
func (c *Controller) WebAction(ctx context.Context, name Name) (*WebAction, error) {
	a, owner, err := c.ResolveWebAction(ctx, name)
	var refused *Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		return nil, errNotFound
	}
	if err != nil {
		return nil, err
	}
	if !a.annotations.isExactlyTrue(annotationWeb) {
		return nil, errNotFound
	}
	return &WebAction{a, owner}, nil
}

// isExactlyTrue reports whether the value is the boolean true. OpenWhisk reads the annotations
// of web actions so, and no others.
func (p Parameters) isExactlyTrue(key string) bool { return string(p.Get(key)) == "true" }

// IsRaw reports whether the action wants query and body as they are.
func (w *WebAction) IsRaw() bool { return w.action.annotations.isExactlyTrue(annotationRaw) }

// HasOptions reports whether the action answers OPTIONS itself, and sets its own
// headers for other origins.
func (w *WebAction) HasOptions() bool { return w.action.annotations.isExactlyTrue(annotationOptions) }

// IsFinal reports whether a request must not set the parameter.
func (w *WebAction) IsFinal(parameter string) bool { return w.action.IsFinal(parameter) }

// Admits reports whether the action takes a request with that header
// X-Require-Whisk-Auth from somebody who showed a good key, or did not. secret is
// what the header must say; the annotation true asks for a good key instead.
func (w *WebAction) Admits(hasKey bool, header string) bool {
	want := w.action.annotations.Get(annotationAuth)
	switch {
	case want == nil:
		return true
	case string(want) == "true":
		return hasKey
	}
	secret := string(want)
	switch {
	case secret == "" || secret == "null" || secret == "false" || secret[0] == '{' || secret[0] == '[':
		return false // it makes no sense, and so protects
	case secret[0] == '"' && json.Unmarshal(want, &secret) != nil:
		return false
	}
	return subtle.ConstantTimeCompare([]byte(secret), []byte(header)) == 1
}

// InvokeWeb is Invoke on behalf of the web action's owner; in.By and in.Action are not looked at.
// Whether in.Args may be is the caller's to check.
func (c *Controller) InvokeWeb(ctx context.Context, w *WebAction, in Invocation) (id string, done *bus.Completed, err error) {
	in.By = w.owner
	if err := c.gate.enter(); err != nil {
		return "", nil, err
	}
	defer c.gate.leave()
	if err := c.throttle(ctx, in.By.Namespace); err != nil {
		return "", nil, err
	}
	return c.invokeResolved(ctx, w.action, in)
}
