package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestActions(t *testing.T) {
	for _, e := range examples() {
		a, err := e.action("..")
		if err != nil {
			t.Fatal(err)
		}
		if a.Exec.Kind != e.kind || a.Exec.Main != e.main || a.Limits.Timeout != e.limit.Milliseconds() {
			t.Errorf("%s: %+v", e.name, a)
		}
		if len(e.files) == 1 && !strings.Contains(a.Exec.Code, "main(args)") {
			t.Errorf("%s: its code is %q", e.name, a.Exec.Code)
		}
		if again, err := e.action(".."); err != nil || again != a {
			t.Errorf("%s: the same files made something else", e.name)
		}
	}
}

func TestZip(t *testing.T) {
	code, err := readCode("..", []string{"ask/__main__.py", "ask/requirements.txt"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 2 || archive.File[0].Name != "__main__.py" || archive.File[1].Name != "requirements.txt" {
		t.Errorf("the zip holds %v", archive.File)
	}
}

func TestGreeting(t *testing.T) {
	args := map[string]any{"name": "Ada"}
	if _, err := greeting(args, json.RawMessage(`{"greeting":"Hello, Ada!"}`)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{`{"greeting":"Hello, Grace!"}`, `{}`, `[]`} {
		if _, err := greeting(args, json.RawMessage(wrong)); err == nil {
			t.Errorf("%s passed", wrong)
		}
	}
}

func TestModelAnswer(t *testing.T) {
	text, err := modelAnswer(nil, json.RawMessage(`{"answer":"Because.","tokens":2,"tokens_per_second":39.6,"device":"cpu"}`))
	if want := "Because.\n(2 tokens, 40 a second, on the cpu)"; err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := modelAnswer(nil, json.RawMessage(`{"answer":" "}`)); err == nil {
		t.Error("an empty answer passed")
	}
}

func TestCheck(t *testing.T) {
	away, local := example{server: serverName}, example{}
	for _, c := range []struct {
		e    example
		j    journey
		cold bool
		ok   bool
	}{
		{away, journey{Server: serverName, Cold: true}, true, true},
		{away, journey{Server: "other"}, false, false},
		{away, journey{Server: serverName, Cold: true}, false, false},
		{local, journey{}, false, true},
		{local, journey{Server: serverName}, false, false},
		{local, journey{}, true, false},
	} {
		if err := c.e.check(c.j, c.cold); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string]string{
		"one two three": "one two\nthree",
		"a\n\nb":        "a\n\nb",
		"unbreakable":   "unbreakable",
		"":              "",
	} {
		if got := wrap(text, 8); got != want {
			t.Errorf("wrap(%q) = %q, want %q", text, got, want)
		}
	}
}
