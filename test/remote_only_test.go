package test

import (
	"strings"
	"testing"
)

// A container that has a token can be told to run nothing itself.
func TestRemoteOnly(t *testing.T) {
	_, url := direct(t, testToken)
	code := "def main(args):\n    return args\n"
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_REMOTE_ONLY=1", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+testToken)
	if status, b := r.post("/init", initBody("main", code, nil)); status != 502 || !strings.Contains(b, "main@gpu") {
		t.Errorf("without @: %d %s", status, b)
	}
	if status, b := r.post("/init", initBody("main@box", code, nil)); status != 200 {
		t.Errorf("with @: %d %s", status, b)
	}
}
