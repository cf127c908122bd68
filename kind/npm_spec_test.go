package kind

import (
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func TestPackageSpecs(t *testing.T) {
	for _, spec := range []string{
		"", "1.2.3", "^1.2.3", "~1", ">=1.2 <2", "1.x", "*", "x", "latest", "next-2", "1.0.0 - 2.0.0", "1 || 2", "=1.0.0", "1.0.0-beta.1+x",
		"npm:other@1.2.3", "npm:@scope/other@^2", "npm:other", "https://example.com/a/b.tgz",
	} {
		if why := refuseSpec(spec); why != "" {
			t.Errorf("%q: %s", spec, why)
		}
	}
	for _, spec := range []string{
		"file:../x", "link:x", "./x", "../x", ".", "..", ".x", "/etc", "~/x", "x.tgz", "a/b.tar.gz", "owner/repo", "github:owner/repo", "gist:1", "git://h/r",
		"git+https://h/r", "git+file:///r", "git@h:r", "http://h/x.tgz", "https://github.com/o/r", "https://github.com/o/r.git", "https://h/x.tgz#/../y",
		"workspace:*", "npm:../x@1", "npm:x@file:y", "c:\\x", "portal:x", "\u00e9/x", "1.0.0\n--x", "$(x)",
	} {
		if refuseSpec(spec) == "" {
			t.Errorf("%q is not refused", spec)
		}
	}
}

func TestPackagesThatReachOutsideAreRefused(t *testing.T) {
	for _, p := range []nodePackage{
		{Dependencies: map[string]string{"a": "file:.."}}, {OptionalDependencies: map[string]string{"a": "git://h/r"}},
		{PeerDependencies: map[string]string{"a": "o/r"}}, {DevDependencies: map[string]string{"a": "../x"}},
		{Overrides: map[string]any{"a": map[string]any{"b": "file:.."}}}, {Workspaces: []byte(`["a"]`)},
	} {
		if err := p.check(); function.CodeOf(err) != function.CodeInitFailed {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if err := (nodePackage{Dependencies: map[string]string{"a": "1"}, Overrides: map[string]any{"a": "$a", "b": map[string]any{".": "2"}}}).check(); err != nil {
		t.Error(err)
	}
}

func TestLockFilesThatReachOutsideAreRefused(t *testing.T) {
	const good = `{"packages":{"":{},"node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz"},"node_modules/a/node_modules/@s/b":{"version":"1.0.0"}}}`
	if err := checkLock([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"{", "[]", `{"lockfileVersion":1,"dependencies":{}}`,
		`{"packages":{"../x":{}}}`, `{"packages":{"node_modules/../../x":{}}}`, `{"packages":{"packages/a":{"version":"1"}}}`,
		`{"packages":{"node_modules/a":{"link":true,"resolved":"packages/a"}}}`, `{"packages":{"node_modules/a":{"resolved":"git+ssh://h/r"}}}`,
		`{"packages":{"node_modules/a":{"resolved":"http://h/a.tgz"}}}`, `{"packages":{"node_modules/a":{"resolved":"file:a.tgz"}}}`,
		`{"packages":{"node_modules/a":{"version":"file:.."}}}`,
	} {
		if err := checkLock([]byte(text)); function.CodeOf(err) != function.CodeInitFailed {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestServerWithoutNPM(t *testing.T) {
	_, err := findNPM(t.TempDir()+"/node", t.TempDir())
	if function.CodeOf(err) != function.CodeInitFailed || !strings.Contains(err.Error(), "Debian: npm") {
		t.Errorf("got %v", err)
	}
}

func TestNPMErrorsAreRead(t *testing.T) {
	for out, want := range map[string]string{
		"npm warn x\nnpm error code E404\nnpm error 404 Not Found - GET https://r/x\n": "404 Not Found - GET https://r/x",
		"npm ERR! code ETARGET\nnpm ERR! notarget No matching version":                 "notarget No matching version",
		"": "see its output",
	} {
		if got := npmError(out); got != want {
			t.Errorf("%q: %q", out, got)
		}
	}
}
