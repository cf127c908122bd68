package test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The npm package "openwhisk" does the platform's main things, unchanged.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("sdk/node_modules/openwhisk"); err != nil {
		t.Fatal("the npm packages are missing: run `make setup`")
	}
	s := startStandalone(t, t.TempDir())
	zip := zipOf(t, map[string]string{
		"package.json": `{"main": "lib/start.js"}`,
		"lib/start.js": "exports.main = args => ({ zipped: args })",
	})
	files, err := filepath.Glob("sdk/*.test.js")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--test", "--test-reporter=spec"}
	for _, file := range files {
		args = append(args, filepath.Base(file))
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = "sdk"
	cmd.Env = append(os.Environ(), "APIHOST="+s.api, "AUTH="+s.auth, "NODE_ZIP="+base64.StdEncoding.EncodeToString(zip))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
