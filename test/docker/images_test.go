package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tag tells the images of the tests from others.
const tag = "test"

func imageName(image string) string { return image + ":" + tag }

// build makes all images, once.
var build = sync.OnceValue(func() error {
	base, err := baseArchive()
	if err != nil {
		return err
	}
	if out, err := exec.Command("docker", "import", base, imageName("base")).CombinedOutput(); err != nil {
		return &buildError{"importing " + base, err, out}
	}
	cmd := exec.Command("../../docker/build")
	cmd.Env = append(os.Environ(), "TAG="+tag, "PYTHON_BASE="+imageName("base"), "NODEJS_BASE="+imageName("base"), "SERVER_BASE="+imageName("base"), "SERVER_PACKAGES=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return &buildError{"docker/build", err, out}
	}
	return nil
})

// baseArchive is the file that baseVariable names, or the one of `scripts/setup docker`.
func baseArchive() (string, error) {
	if given := os.Getenv(baseVariable); given != "" {
		return given, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "whiskaway", "docker-base.tar"), err
}

type buildError struct {
	what string
	err  error
	out  []byte
}

func (e *buildError) Error() string { return e.what + ": " + e.err.Error() + "\n" + string(e.out) }

// needImages builds the images, or skips.
func needImages(t *testing.T) {
	t.Helper()
	needEngine(t)
	if err := build(); err != nil {
		t.Fatal(err)
	}
}

func TestImagesAreBuilt(t *testing.T) {
	needImages(t)
	for _, image := range imageTable(t) {
		lines := docker(t, "inspect", "--format", `{{.Size}} {{.Config.User}} {{.Config.Labels}}`, imageName(image.name))
		t.Logf("%-24s %s", image.name, lines)
		if !strings.Contains(lines, "org.opencontainers.image.title") {
			t.Errorf("%s has no labels: %s", image.name, lines)
		}
	}
	if user := docker(t, "inspect", "--format", "{{.Config.User}}", imageName("whiskaway-runtime")); user != "65534:65534" {
		t.Errorf("whiskaway-runtime runs as %q", user)
	}
	for _, image := range []string{"whiskaway-runtime", "whiskaway-python", "whiskaway-nodejs", "whiskaway-client-go"} {
		out := docker(t, "run", "--rm", "--entrypoint", "/bin/whiskaway", imageName(image), "version")
		if !strings.HasPrefix(out, "whiskaway ") {
			t.Errorf("%s: version printed %q", image, out)
		}
	}
}
