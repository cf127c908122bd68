package wire

import (
	"net/http"

	"github.com/whiskaway/whiskaway/function"
)

// statusCancelled is what nginx made common for "the client closed the request".
const statusCancelled = 499

// statusOf returns the HTTP status that carries code. This file is the only
// place that knows how codes and statuses belong together.
func statusOf(code function.Code) int {
	switch code {
	case function.CodeBadRequest:
		return http.StatusBadRequest
	case function.CodeUnauthorized:
		return http.StatusUnauthorized
	case function.CodeForbidden:
		return http.StatusForbidden
	case function.CodeCodeMissing:
		return http.StatusPreconditionFailed
	case function.CodeUnknownFunction:
		return http.StatusNotFound
	case function.CodeInitFailed:
		return http.StatusUnprocessableEntity
	case function.CodeBusy:
		return http.StatusTooManyRequests
	case function.CodeNoCapacity, function.CodeDraining:
		return http.StatusServiceUnavailable
	case function.CodeTimeout:
		return http.StatusGatewayTimeout
	case function.CodeCancelled:
		return statusCancelled
	case function.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case function.CodeUnreachable:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// codeOf returns the code for an answer that names none itself: one that a
// proxy on the way gave, or no Whiskaway at all.
func codeOf(status int) function.Code {
	switch status {
	case http.StatusUnauthorized:
		return function.CodeUnauthorized
	case http.StatusForbidden:
		return function.CodeForbidden
	case http.StatusRequestEntityTooLarge:
		return function.CodeTooLarge
	case http.StatusTooManyRequests:
		return function.CodeBusy
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return function.CodeUnreachable
	}
	if status >= 300 && status < 500 {
		return function.CodeBadRequest
	}
	return function.CodeInternal
}
