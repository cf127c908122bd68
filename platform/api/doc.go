// Package api is OpenWhisk's REST API, /api/v1, before a controller.
//
// What must hold here: nothing but the two descriptions is answered without a
// good key; bodies are bounded; every answer carries its transaction's id, and
// every error is {"error", "code"} in OpenWhisk's words.
package api
