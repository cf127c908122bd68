package test

import (
	"os"
	"os/exec"
	"testing"
)

// The npm package "openwhisk" makes and removes API routes, unchanged.
func TestJavaScriptSDKRoutes(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("sdk/node_modules/openwhisk"); err != nil {
		t.Fatal("the npm packages are missing: run `make setup`")
	}
	s := startStandalone(t, t.TempDir())
	cmd := exec.Command("node", "--test", "--test-reporter=spec", "routes.test.js")
	cmd.Dir = "sdk"
	cmd.Env = append(os.Environ(), "APIHOST="+s.api, "AUTH="+s.auth)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
