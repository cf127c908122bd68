package docker

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// An image is a line of docker/images.
type image struct{ name, folder string }

func imageTable(t *testing.T) []image {
	t.Helper()
	text, err := os.ReadFile(root + "/docker/images")
	if err != nil {
		t.Fatal(err)
	}
	var images []image
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] != "#" {
			images = append(images, image{fields[0], fields[1]})
		}
	}
	return images
}

// A manifest is OpenWhisk's, as its ExecManifest.scala reads it.
type manifest struct {
	Runtimes map[string][]struct {
		Kind  string `json:"kind"`
		Image struct {
			Prefix, Name, Tag string
		} `json:"image"`
		Default    bool `json:"default"`
		Deprecated bool `json:"deprecated"`
		Attached   *struct {
			AttachmentName, AttachmentType string
		} `json:"attached"`
	} `json:"runtimes"`
}

const fragment = root + "/docker/runtimes.json"

func readFragment(t *testing.T) manifest {
	t.Helper()
	text, err := os.ReadFile(fragment)
	if err != nil {
		t.Fatal(err)
	}
	return parseManifest(t, text)
}

func parseManifest(t *testing.T, text []byte) manifest {
	t.Helper()
	var m manifest
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryImageHasItsDockerfile(t *testing.T) {
	images := imageTable(t)
	if len(images) == 0 {
		t.Fatal("docker/images is empty")
	}
	for _, image := range images {
		if _, err := os.Stat(filepath.Join(root, "docker", image.folder, "Dockerfile")); err != nil {
			t.Errorf("%s: %v", image.name, err)
		}
	}
}

// What is merged into an existing manifest must not change what is there: no kind of OpenWhisk's or
// OpenServerless's own, no second default, a family that has one. The images are those that docker/build makes.
func TestRuntimesFragment(t *testing.T) {
	images := map[string]bool{}
	for _, image := range imageTable(t) {
		images[image.name] = true
	}
	families := readFragment(t).Runtimes
	for family, kinds := range families {
		defaults := 0
		for _, k := range kinds {
			if !images[k.Image.Name] {
				t.Errorf("%s: docker/images knows no %s", k.Kind, k.Image.Name)
			}
			if k.Default {
				defaults++
			}
			own, ok := strings.CutPrefix(k.Kind, family+":")
			if !ok || (own != "remote" && own != "whiskaway") {
				t.Errorf("the kind %s in the family %s: it would clash, or nobody would find it", k.Kind, family)
			}
			if k.Attached == nil || k.Attached.AttachmentName != "codefile" || k.Attached.AttachmentType != "text/plain" {
				t.Errorf("%s: the code is not an attachment", k.Kind)
			}
		}
		// "native" is ours alone: OpenWhisk refuses a family of several kinds without a default.
		if alone := family == "native"; alone && len(kinds) != 1 || !alone && defaults != 0 {
			t.Errorf("%s: %d kinds, %d defaults", family, len(kinds), defaults)
		}
	}
	if len(families) == 0 {
		t.Error("the fragment is empty")
	}
}

// Merging keeps what is there, replaces what is ours, and can be done again.
func TestFragmentIsMerged(t *testing.T) {
	needEngine(t) // and with it jq
	old := filepath.Join(t.TempDir(), "old.json")
	err := os.WriteFile(old, []byte(`{"runtimes": {
		"python": [{"kind": "python:3", "default": true, "image": {"name": "theirs"}}, {"kind": "python:remote", "image": {"name": "old"}}],
		"ruby": [{"kind": "ruby:2.5", "default": true, "image": {"name": "theirs"}}]}}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := exec.Command("jq", "-s", "-f", root+"/docker/merge.jq", "--arg", "prefix", "registry.example.com/p", "--arg", "tag", "1.0", old, fragment).Output()
		if err != nil {
			t.Fatal(err)
		}
		merged := parseManifest(t, out)
		images := map[string]string{}
		for _, family := range merged.Runtimes {
			for _, k := range family {
				images[k.Kind] = strings.Trim(k.Image.Prefix+"/"+k.Image.Name+":"+k.Image.Tag, "/:")
			}
		}
		want := map[string]string{"python:3": "theirs", "ruby:2.5": "theirs"}
		for _, family := range readFragment(t).Runtimes {
			for _, k := range family {
				want[k.Kind] = "registry.example.com/p/" + k.Image.Name + ":1.0"
			}
		}
		if !maps.Equal(images, want) || len(merged.Runtimes["python"]) != 3 {
			t.Errorf("merged: %v, want %v", images, want)
		}
		if err := os.WriteFile(old, out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The images that docs and manifests name are those that docker/build makes.
func TestImagesThatAreNamedExist(t *testing.T) {
	known := []string{}
	for _, image := range imageTable(t) {
		known = append(known, image.name)
	}
	named := regexp.MustCompile(`registry\.example\.com/whiskaway/([a-z-]+)`)
	var files []string
	for _, pattern := range []string{"docs/*.md", "docker/*.md", "docker/kubernetes/*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		files = append(files, found...)
	}
	total := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			total++
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s names %s, which docker/images does not know", file, m[1])
			}
		}
	}
	if total == 0 {
		t.Error("nothing names an image")
	}
}
