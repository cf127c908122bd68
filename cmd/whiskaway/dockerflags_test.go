package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImagesOfKinds(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "runtimes.json")
	text := `{"runtimes": {"ruby": [{"kind": "ruby:2.5", "default": true, "image": {"name": "theirs"}}]}}`
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	own := "python:3 whiskaway-python:" + version + " true, nodejs:20 whiskaway-nodejs:" + version + " true, native whiskaway-runtime:" + version + " true"
	for _, c := range []struct {
		flags dockerFlags
		want  string
	}{
		{dockerFlags{}, own},
		{dockerFlags{images: []string{"python:3=mine:1=x"}}, "--image python:3=mine:1=x: it is a kind and its image"},
		{dockerFlags{images: []string{"python:3=r.example.com:5000/mine@sha256:" + strings.Repeat("0", 64)}},
			strings.Replace(own, "whiskaway-python:"+version, "r.example.com:5000/mine@sha256:"+strings.Repeat("0", 64), 1)},
		{dockerFlags{images: []string{"python:3.12=mine", "go:1=its"}}, own + ", python:3.12 mine false, go:1 its true"},
		{dockerFlags{manifest: manifest}, "ruby:2.5 theirs true"},
		{dockerFlags{manifest: manifest, images: []string{"ruby:2.5=mine"}}, "ruby:2.5 mine true"},
		{dockerFlags{images: []string{"=mine"}}, "it is a kind and its image"},
	} {
		kinds, err := c.flags.kinds()
		var list []string
		for _, k := range kinds {
			list = append(list, fmt.Sprint(k.Name, " ", k.Image, " ", k.Default))
		}
		if got := strings.Join(list, ", "); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %s, %v, want %s", c.flags, got, err, c.want)
		}
	}
}

func TestPlatformIDStays(t *testing.T) {
	dir := t.TempDir()
	first, err := platformID(dir)
	if err != nil || len(first) != 16 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := platformID(dir); err != nil || again != first {
		t.Errorf("%q, %v, and before %q", again, err, first)
	}
	if other, err := platformID(t.TempDir()); err != nil || other == first {
		t.Errorf("two platforms have the id %q, %v", other, err)
	}
}
