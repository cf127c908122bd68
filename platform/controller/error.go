package controller

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/whiskaway/whiskaway/platform/store"
)

// An Error is a refusal, in OpenWhisk's words, with its HTTP status.
type Error struct {
	Status  int
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Refuse returns an *Error with a formatted message.
func Refuse(status int, format string, args ...any) *Error {
	return &Error{status, fmt.Sprintf(format, args...)}
}

// Malformed says what was wrong with a request's body.
func Malformed(format string, args ...any) *Error {
	return Refuse(http.StatusBadRequest, "The request content was malformed:\n"+format, args...)
}

// TooLarge says which part is how much above its limit.
func TooLarge(what string, is, limit int64) *Error {
	return Refuse(http.StatusRequestEntityTooLarge, "%s larger than allowed: %d > %d bytes.", what, is, limit)
}

// The refusals that need no details.
var (
	errNotFound   = &Error{http.StatusNotFound, "The requested resource does not exist."}
	errNotAllowed = &Error{http.StatusBadRequest, "Request defines parameters that are not allowed (e.g., reserved properties)."}

	errOnBinding        = &Error{http.StatusBadRequest, "Operation not permitted on package binding."}
	errBindingToBinding = &Error{http.StatusBadRequest, "Cannot bind to another package binding."}
	errBindingToNothing = &Error{http.StatusBadRequest, "Binding references a package that does not exist."}
	errBindingToOther   = &Error{http.StatusConflict, "Cannot bind to a resource that is not a package."}
	errNoBinding        = &Error{http.StatusConflict, "Resource is a package and cannot be converted into a binding."}

	errSequenceTooLong = &Error{http.StatusBadRequest, "Too many actions in the sequence."}
	errSequenceEmpty   = &Error{http.StatusBadRequest, "No component specified for the sequence."}
	errSequenceCyclic  = &Error{http.StatusBadRequest, "Sequence may not refer to itself."}
	errSequenceMissing = &Error{http.StatusBadRequest, "Sequence component does not exist."}

	errExists     = &Error{http.StatusConflict, "resource already exists"}
	errConcurrent = &Error{http.StatusConflict, "Concurrent modification to resource detected."}
	errCollection = &Error{http.StatusConflict, "Resource by this name exists but is not in this collection."}
	errOverloaded = &Error{http.StatusServiceUnavailable, "System is overloaded, try again later."}
	errStopping   = &Error{http.StatusServiceUnavailable, "The platform is about to stop, try again later."}
	errBadKey     = &Error{http.StatusUnauthorized, "The supplied authentication is invalid"}
)

// stored turns a store's words into OpenWhisk's.
func stored(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case errors.Is(err, store.ErrConflict):
		return errConcurrent
	}
	return err
}
