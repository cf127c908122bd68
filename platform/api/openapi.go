package api

import (
	_ "embed" // the description
)

// openAPI describes this API, for people and for generators of clients.
//
//go:embed openapi.json
var openAPI []byte

func (a *API) apiDocs() (reply, error) { return ok(raw(openAPI)) }
