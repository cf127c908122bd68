package controller

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A manifest is OpenWhisk's runtimes.json, as its ExecManifest reads it. What it says beside this of
// how code is stored and how logs are marked does not matter here; "blackboxes" neither: which
// images are pulled is the driver's policy.
type manifest struct {
	Runtimes map[string][]manifestKind `json:"runtimes"`
}

type manifestKind struct {
	Kind        string         `json:"kind"`
	Image       manifestImage  `json:"image"`
	Default     bool           `json:"default"`
	Deprecated  bool           `json:"deprecated"`
	RequireMain bool           `json:"requireMain"`
	StemCells   []manifestCell `json:"stemCells"`
}

type manifestImage struct{ Registry, Prefix, Name, Tag string }

// manifestCell's older manifests call the count initialCount.
type manifestCell struct {
	Count        int    `json:"count"`
	InitialCount int    `json:"initialCount"`
	Memory       string `json:"memory"`
}

// ParseManifest reads the kinds of an OpenWhisk manifest, runtimes.json, in the order of their names.
func ParseManifest(text []byte) ([]Kind, error) {
	var m manifest
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		return nil, fmt.Errorf("it is not OpenWhisk's JSON: %w", err)
	}
	if len(m.Runtimes) == 0 {
		return nil, errors.New("it has no \"runtimes\"")
	}
	var kinds []Kind
	for _, language := range slices.Sorted(maps.Keys(m.Runtimes)) {
		family, err := parseFamily(language, m.Runtimes[language])
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, family...)
	}
	return kinds, nil
}

// parseFamily reads the kinds of one language, of which one is the default.
func parseFamily(language string, list []manifestKind) ([]Kind, error) {
	var kinds []Kind
	defaults := 0
	for _, entry := range list {
		k, err := entry.kind()
		if err != nil {
			return nil, err
		}
		if k.Default || len(list) == 1 {
			k.Default = true
			k.Aliases = []string{language + ":default", language}
			defaults++
		}
		kinds = append(kinds, k)
	}
	if defaults != 1 && len(list) > 0 {
		return nil, fmt.Errorf("of the runtimes of %q %d are the default, and one must be", language, defaults)
	}
	return kinds, nil
}

func (m manifestKind) kind() (Kind, error) {
	k := Kind{Name: m.Kind, Image: m.Image.String(), Default: m.Default, Deprecated: m.Deprecated, RequireMain: m.RequireMain}
	switch {
	case k.Name == "":
		return k, errors.New("a runtime has no \"kind\"")
	case m.Image.Name == "":
		return k, fmt.Errorf("the kind %s has no image with a \"name\"", k.Name)
	case !IsImage(k.Image):
		return k, fmt.Errorf("the image of the kind %s, %q, is no image's name", k.Name, k.Image)
	}
	for _, cell := range m.StemCells {
		count := cmp.Or(cell.Count, cell.InitialCount)
		memory, err := megabytes(cell.Memory)
		if err != nil || count < 1 {
			return k, fmt.Errorf("the stemCells of the kind %s are not like {\"count\": 2, \"memory\": \"256 MB\"}", k.Name)
		}
		k.StemCells = append(k.StemCells, StemCell{count, memory})
	}
	return k, nil
}

func (i manifestImage) String() string {
	text := i.Name
	if i.Prefix != "" {
		text = i.Prefix + "/" + text
	}
	if i.Registry != "" {
		text = strings.TrimSuffix(i.Registry, "/") + "/" + text
	}
	if i.Tag != "" {
		text += ":" + i.Tag
	}
	return text
}

// megabytes reads a size as OpenWhisk writes it: "256 MB", "1 g".
func megabytes(size string) (int, error) {
	number := strings.TrimRight(size, " BbMmGgKk")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no size", size)
	}
	switch strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(size[len(number):])), "B") {
	case "M":
		return n, nil
	case "G":
		return n << 10, nil
	}
	return 0, fmt.Errorf("%q is not a size in MB or GB", size)
}
