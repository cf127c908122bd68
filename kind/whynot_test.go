package kind_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/kind"
)

func TestWhyNot(t *testing.T) {
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("no executable of this machine to look at")
	}
	foreign := append([]byte(nil), own...)
	foreign[18], foreign[19] = 22, 0 // EM_S390
	for _, c := range []struct{ name, code, want string }{
		{"source", "print('hello')\n", "names its interpreter"},
		{"nothing", "", "names its interpreter"},
		{"a script", "#!/bin/sh\n", ""},
		{"a script with an argument", "#! /usr/bin/env bash\n", ""},
		{"a missing interpreter", "#!/no/such -x\n", `"/no/such", which this machine does not have`},
		{"no interpreter", "#!\necho", "names no interpreter"},
		{"Windows", "#!/bin/sh\r\necho", "as on Windows"},
		{"a very long line", "#!/" + strings.Repeat("x", 5000), "does not have"},
		{"macOS", "\xcf\xfa\xed\xfe rest", "another system; build it for linux/"},
		{"an .exe", "MZ rest", "another system"},
		{"this test", string(own), ""},
		{"another processor", string(foreign), "another processor (S390); build it for linux/"},
		{"half of an executable", string(own[:100]), "damaged"},
	} {
		path := filepath.Join(t.TempDir(), "exec")
		if err := os.WriteFile(path, []byte(c.code), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := kind.WhyNot(path); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := kind.WhyNot(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("no file: %q", got)
	}
}
