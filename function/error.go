package function

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Code says for a program what went wrong. The list is stable: codes cross
// the wire.
type Code string

// The codes. Which HTTP status each has is package wire's business.
const (
	CodeBadRequest      Code = "bad_request"      // the request makes no sense; the text says why
	CodeUnauthorized    Code = "unauthorized"     // no token, or a wrong one
	CodeForbidden       Code = "forbidden"        // the token is good, but not for this
	CodeCodeMissing     Code = "code_missing"     // PutCode first, then Init again
	CodeUnknownFunction Code = "unknown_function" // Init first: never known, forgotten, or the lease is over
	CodeInitFailed      Code = "init_failed"      // the function itself could not be started
	CodeBusy            Code = "busy"             // no room just now; see RetryAfter
	CodeNoCapacity      Code = "no_capacity"      // no host could run this at all, or not in time
	CodeTimeout         Code = "timeout"          // the time limit was over before anything started
	CodeCancelled       Code = "cancelled"        // the caller left before anything started
	CodeTooLarge        Code = "too_large"        // code, body or result above the limit
	CodeDraining        Code = "draining"         // the host is about to end
	CodeUnreachable     Code = "unreachable"      // no connection could be made
	CodeInternal        Code = "internal"         // the host's own fault
)

// An Error is what a Host answers when it cannot.
type Error struct {
	Code    Code
	Message string // for a person: what was wrong, and what to do
	// RetryAfter is how long to wait before another try; 0: not said.
	RetryAfter time.Duration
	// Logs is what the function printed while it failed to start.
	Logs string
	// Unbuilt says that the code could not even be made into something to start.
	Unbuilt bool
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Errorf returns an *Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError returns the *Error in err's chain. A context's end becomes
// CodeTimeout or CodeCancelled; any other error becomes CodeInternal.
func AsError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return Errorf(CodeTimeout, "the time limit was over before anything started")
	case errors.Is(err, context.Canceled):
		return Errorf(CodeCancelled, "the caller left before anything started")
	}
	return Errorf(CodeInternal, "%v", err)
}

// CodeOf returns the code of err, or "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
