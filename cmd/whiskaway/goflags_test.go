package main

import (
	"slices"
	"strings"
	"testing"
)

func TestFlagsInGoStyle(t *testing.T) {
	for given, want := range map[string]string{
		"/bin/proxy":     "runtime",
		"proxy -version": "runtime --version",
		"/bin/proxy -debug -compile main -env {}":           "runtime --debug --compile main --env {}",
		"proxy -compile=main --debug -h":                    "runtime --compile=main --debug -h",
		"whiskaway runtime -compile main":                   "runtime --compile main",
		"whiskaway --log-level debug runtime -debug":        "--log-level debug runtime --debug",
		"whiskaway --log-format=json runtime -nonsense - x": "--log-format=json runtime --nonsense - x",
		"whiskaway server -x-y runtime -debug":              "server -x-y runtime -debug",
		"whiskaway":                                         "",
		"whiskaway --log-level":                             "--log-level",
	} {
		if got := strings.Join(asProxy(strings.Fields(given)), " "); got != want {
			t.Errorf("%s becomes %s, not %s", given, got, want)
		}
	}
	if got := asProxy(nil); got != nil {
		t.Errorf("no arguments become %q", got)
	}
	args := []string{"proxy", "-debug"}
	if asProxy(args); !slices.Equal(args, []string{"proxy", "-debug"}) {
		t.Errorf("the arguments themselves were changed: %q", args)
	}
}
