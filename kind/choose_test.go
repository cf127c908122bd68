package kind

import "testing"

func TestWhoServesAKind(t *testing.T) {
	all := &Set{have: found{
		Interpreters: []interpreter{
			{Kind: Python, Version: "3.11.7"}, {Kind: NodeJS, Version: "18.2.0"}, {Kind: Go, Version: "1.26.8"},
			{Kind: "python:3.12", Version: "3.12.1"}, {Kind: "nodejs:22", Version: "22.1.0"}, {Kind: "python:ml", Version: "3.11.7"},
		},
		Compilers: []compiler{{"ruby:2.5", "/c"}, {"ruby:3", "/d"}},
	}}
	for kind, want := range map[string]string{
		"python:3": Python, "python:default": Python, "python:3.11": Python, "python:3.11.7": Python, "python:3.1": "", "python:2": "",
		"python:3.12": "python:3.12", "python:3.12.1": "python:3.12", "python:ml": "python:ml", "python:": "",
		"nodejs:20": NodeJS, "nodejs:default": NodeJS, "nodejs:18": NodeJS, "nodejs:22": "nodejs:22", "nodejs:2": "", "nodejs:14": "",
		"go:1": Go, "go:default": Go, "go:1.22": Go, "go:1.26": Go, "go:1.27": "", "go:2": "", "go:x": "",
		"ruby:2.5": "ruby:2.5", "ruby:default": "ruby:2.5", "ruby:3": "ruby:3", "ruby:2": "", "": "", "java:8": "",
	} {
		i, _ := all.interpreter(kind)
		c, _ := all.compiler(kind)
		if got := i.Kind + c.Kind; got != want || all.Serves(kind) != (want != "") {
			t.Errorf("%q is served by %q (%v), want %q", kind, got, all.Serves(kind), want)
		}
	}
	if none := new(Set); none.Serves(Python) || none.Serves("go:1") || !none.Serves("native:default") || !none.Serves(Native) {
		t.Error("without interpreters only native is served")
	}
	only := &Set{have: found{Interpreters: []interpreter{{Kind: "python:3.12", Version: "3.12.1"}}}}
	if i, _ := only.interpreter("python:default"); i.Kind != "python:3.12" {
		t.Errorf("python:default is served by %q, where only python:3.12 is there", i.Kind)
	}
}
