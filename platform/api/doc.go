// Package api is OpenWhisk's REST API, /api/v1, before a controller; with the web
// actions below /api/v1/web, and the APIs that namespaces make of them below /api/NAMESPACE.
//
// What must hold here: nothing but the two descriptions, web actions and routes
// to these is answered without a good key; bodies are bounded; every answer carries
// its transaction's id, and every error is {"error", "code"} in OpenWhisk's words; what
// a web action returns can set headers, and never more than it names.
package api
