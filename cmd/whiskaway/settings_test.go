package main

import (
	"slices"
	"testing"
)

func TestALocalFunctionsEnvironment(t *testing.T) {
	for name, value := range map[string]string{"CUSTOM": "1", "LD_LIBRARY_PATH": "/x", "OW_COMPILER": "/c", "WHISKAWAY_BALANCER": "b", "__OW_API_HOST": "h", "COPY": "it is first-token"} {
		t.Setenv(name, value)
	}
	s := settings{executionEnv: "image:1"}
	got := s.localEnv(map[string]string{"__OW_API_KEY": "k", "__OW_API_HOST": "newer"}, secrets{texts: []string{"first-token"}})
	for _, want := range []string{"CUSTOM=1", "LD_LIBRARY_PATH=/x", "__OW_API_KEY=k", "__OW_EXECUTION_ENV=image:1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if slices.Index(got, "__OW_API_HOST=newer") < slices.Index(got, "__OW_API_HOST=h") {
		t.Error("the init environment does not win")
	}
	for _, name := range []string{"OW_COMPILER", "WHISKAWAY_BALANCER", "COPY", "PATH", "HOME"} {
		if slices.ContainsFunc(got, func(s string) bool { return len(s) > len(name) && s[:len(name)+1] == name+"=" }) {
			t.Errorf("%s is there", name)
		}
	}
}

func TestWhatIsSaidAboutLocalFunctions(t *testing.T) {
	for _, c := range []struct {
		given                settings
		kind, language       string
		workers, concurrency int
	}{
		{settings{}, "native", "native", 1, 0},
		{settings{concurrent: true}, "native", "native", 0, 0},
		{settings{kind: "python:3", concurrent: true}, "python:3", "python", 0, 0},
		{settings{kind: "nodejs:20"}, "nodejs:20", "nodejs", 1, 0},
		{settings{kind: "nodejs:default", concurrent: true}, "nodejs:default", "nodejs", 1, nodeConcurrency},
		{settings{kind: "nodejs:20", concurrent: true, compiler: "/c"}, "nodejs:20", "nodejs", 0, 0},
		{settings{compiler: "/c"}, compiledKind, "", 1, 0},
		{settings{kind: "pyhton:3"}, "pyhton:3", "", 1, 0},
	} {
		s := c.given
		if s.localKind() != c.kind || s.language() != c.language || s.workers() != c.workers || s.localConcurrency() != c.concurrency {
			t.Errorf("%+v: %s, %q, %d, %d", s, s.localKind(), s.language(), s.workers(), s.localConcurrency())
		}
	}
}
