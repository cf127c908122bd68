package kind

import (
	"slices"
	"strings"
	"testing"
)

// What pip would read as an option or as a line of its own must not get past us
// because we read it otherwise.
func TestRequirementsThatHideAnOption(t *testing.T) {
	const bom, evil = "\ufeff", "--index-url https://evil.example"
	for _, text := range []string{
		bom + evil, bom + bom + evil,
		"ok\r" + evil, "ok\v" + evil, "ok\f" + evil, "ok\x1c" + evil, "ok\u0085" + evil, "ok\u2028" + evil,
		"\x1f" + evil, "# why\r" + evil, "# why \\\n" + evil,
		"--pre " + evil, "--pre -r /etc/hosts", "--pre\t-r\t/etc/hosts", "--pre --find-links=/etc", "--only-binary :all: -e /x",
		`--pre "--index-url" https://evil.example`, `--pre \--index-url https://evil.example`,
		"-\\\n-index-url https://evil.example", "--pre \\\n" + evil,
		"http://evil.example/x.whl#https://", "x @ git+ssh://h/r ; 'https://' == 'y'",
		"\xff\xfe-\x00r\x00 \x00/\x00x\x00",
	} {
		if r, err := parseRequirements(text); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %q, %v", text, r.lines, err)
		}
	}
}

func TestRequirementsAsEditorsWriteThem(t *testing.T) {
	for text, want := range map[string][]string{
		"\ufeffa==1\r\nb\r\n":          {"a==1", "b"},
		"a==1\rb\r":                    {"a==1", "b"},
		"# C:\\dir\\\na\n":             {"a"},
		"a # one \\\ntwo\nb":           {"a", "b"},
		"a==1\t# see http://x.example": {"a==1"},
		"a==\\\n1":                     {"a==1"},
		"a\\":                          {"a"},
		"a # naïve\u2028\n":            {"a"},
	} {
		r, err := parseRequirements(text)
		if err != nil || !slices.Equal(r.lines, want) {
			t.Errorf("%q: %q, %v", text, r.lines, err)
		}
	}
	if r, err := parseRequirements("\ufeff# whiskaway: no-deps\na"); err != nil || !r.noDeps {
		t.Errorf("the pragma behind a byte order mark is not seen: %+v, %v", r, err)
	}
}
