package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
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

func readManifest(t *testing.T) manifest {
	t.Helper()
	text, err := os.ReadFile(root + "/docker/runtimes.json")
	if err != nil {
		t.Fatal(err)
	}
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
	families := readManifest(t).Runtimes
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
