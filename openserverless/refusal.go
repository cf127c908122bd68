package openserverless

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/initbody"
)

// A refusal is an answer that is no success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// refusalOf says how an error is answered. Their client passes status and text to the
// platform. It is never a 503: older invokers lose the activation then.
func refusalOf(err error) *refusal {
	var known *refusal
	if errors.As(err, &known) {
		return known
	}
	e := function.AsError(err)
	status := http.StatusBadGateway
	switch {
	case errors.Is(err, initbody.ErrNoCode):
		status = http.StatusForbidden
	case e.Code == function.CodeBadRequest:
		status = http.StatusBadRequest
	case e.Code == function.CodeTooLarge:
		status = http.StatusRequestEntityTooLarge
	}
	return &refusal{status, e.Message}
}
