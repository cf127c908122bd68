package controller

import (
	"reflect"
	"strings"
	"testing"
)

func TestIsImage(t *testing.T) {
	for _, good := range []string{"python", "openwhisk/dockerskeleton", "openwhisk/dockerskeleton:1.14.0", "localhost:5000/a/b_c:t-1.x", "r.example.com/a.b--c/d@sha256:" + strings.Repeat("0a", 32), "a__b"} {
		if !IsImage(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for _, bad := range []string{"", "UPPER", "a b", "a:", "a:b:c/", "/a", "a/", "-a", "a@sha256:12", "a\n", "a:" + strings.Repeat("t", 129), strings.Repeat("a", 600), "../a", "a?b=c", "a#b"} {
		if IsImage(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseManifest(t *testing.T) {
	kinds, err := ParseManifest([]byte(`{"description": ["x"], "runtimes": {
		"nodejs": [{"kind": "nodejs:20", "default": true, "image": {"prefix": "openwhisk", "name": "action-nodejs-v20", "tag": "nightly"}, "stemCells": [{"initialCount": 2, "memory": "256 MB"}, {"count": 1, "memory": "1 g"}]},
			{"kind": "nodejs:8", "image": {"name": "old"}, "deprecated": true}],
		"go": [{"kind": "go:1.22", "image": {"registry": "r.example.com/", "name": "action-golang"}, "requireMain": true}]},
		"blackboxes": [{"prefix": "openwhisk", "name": "dockerskeleton"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Kind{
		{Name: "go:1.22", Aliases: []string{"go:default", "go"}, Default: true, Image: "r.example.com/action-golang", RequireMain: true},
		{Name: "nodejs:20", Aliases: []string{"nodejs:default", "nodejs"}, Default: true, Image: "openwhisk/action-nodejs-v20:nightly", StemCells: []StemCell{{2, 256}, {1, 1024}}},
		{Name: "nodejs:8", Image: "old", Deprecated: true},
	}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("%+v", kinds)
	}
	for wrong, text := range map[string]string{
		"not OpenWhisk's JSON":                         `[]`,
		`no "runtimes"`:                                `{}`,
		`a runtime has no "kind"`:                      `{"runtimes":{"a":[{"image":{"name":"b"}}]}}`,
		`the kind a:1 has no image`:                    `{"runtimes":{"a":[{"kind":"a:1"}]}}`,
		`is no image's name`:                           `{"runtimes":{"a":[{"kind":"a:1","image":{"name":"B C"}}]}}`,
		`of the runtimes of "a" 0 are the default`:     `{"runtimes":{"a":[{"kind":"a:1","image":{"name":"b"}},{"kind":"a:2","image":{"name":"b"}}]}}`,
		`of the runtimes of "a" 2 are the default`:     `{"runtimes":{"a":[{"kind":"a:1","default":true,"image":{"name":"b"}},{"kind":"a:2","default":true,"image":{"name":"b"}}]}}`,
		`the stemCells of the kind a:1 are not like`:   `{"runtimes":{"a":[{"kind":"a:1","image":{"name":"b"},"stemCells":[{"count":1,"memory":"much"}]}]}}`,
		`the stemCells of the kind a:1 are not like {`: `{"runtimes":{"a":[{"kind":"a:1","image":{"name":"b"},"stemCells":[{"count":0,"memory":"256 MB"}]}]}}`,
	} {
		if _, err := ParseManifest([]byte(text)); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}

// Without containers exec.image is refused, with what to do.
func TestBlackboxNeedsContainers(t *testing.T) {
	put := &PutExec{Kind: "blackbox", Image: "a/b"}
	c := &Controller{cfg: Config{Kinds: DefaultKinds(), Limits: DefaultLimits()}}
	var a Action
	if _, err := c.applyExec(&a, put, nil, Allowance{}); err == nil || !strings.Contains(err.Error(), "--driver docker") {
		t.Errorf("without containers: %v", err)
	}
	c.cfg.Blackbox = true
	code, err := c.applyExec(&a, put, nil, Allowance{})
	if err != nil || *code != "" || a.Exec.Image != "a/b" || a.Exec.Kind != "blackbox" {
		t.Errorf("with containers: %+v, %v", a.Exec, err)
	}
	a.Exec.show(*code)
	if a.Exec.Code != nil {
		t.Error("there is no code, and some is shown")
	}
	text := "aGVsbG8="
	if code, err = c.applyExec(&a, &PutExec{Kind: "blackbox", Image: "a/b", Code: &text}, nil, Allowance{}); err != nil || *code != text || !a.Exec.Binary {
		t.Errorf("with code: %+v, %v", a.Exec, err)
	}
}
