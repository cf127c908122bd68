package main

import (
	"os"
	"strings"
)

// tokenVariable holds a token. Its value is for us alone.
const tokenVariable = "WHISKAWAY_TOKEN"

// takeToken returns the token of the environment, and takes it out of there: nothing that we
// start inherits it, and whoever may read our environment in /proc does not find it.
func takeToken() string {
	token := os.Getenv(tokenVariable)
	if token == "" {
		return ""
	}
	hideVariable(tokenVariable)
	os.Unsetenv(tokenVariable)
	return strings.TrimSpace(token)
}
