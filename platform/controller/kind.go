package controller

import (
	"slices"
	"strings"
)

// A Kind is a language that actions can be written in.
type Kind struct {
	Name    string   // "python:3"
	Aliases []string // "python", "python:default"
}

// DefaultKinds are those that Whiskaway's own runtime knows.
func DefaultKinds() []Kind {
	return []Kind{
		{"python:3", []string{"python:default", "python"}},
		{"nodejs:20", []string{"nodejs:default", "nodejs"}},
		{"native", []string{"native:default"}},
	}
}

// resolveKind returns the kind that name means.
func (c *Controller) resolveKind(name string) (string, error) {
	for _, k := range c.cfg.Kinds {
		if k.Name == name || slices.Contains(k.Aliases, name) {
			return k.Name, nil
		}
	}
	switch name {
	case "":
		return "", Malformed("'kind' must be a string defined in 'exec'")
	case "blackbox":
		return "", Malformed("actions of kind '%s' are not supported yet", name)
	}
	return "", Malformed("kind '%s' not in Set(%s)", name, strings.Join(c.kindNames(), ", "))
}

func (c *Controller) kindNames() (list []string) {
	for _, k := range c.cfg.Kinds {
		list = append(list, k.Name)
	}
	return list
}

// isBinary is OpenWhisk's own test: code that is base64, and nothing else, is
// taken for an archive or an executable.
func isBinary(code string) bool {
	code = strings.TrimSpace(code)
	if len(code) == 0 || len(code)%4 != 0 {
		return false
	}
	body := strings.TrimRight(code, "=")
	if len(code)-len(body) > 2 {
		return false
	}
	for i := range len(body) {
		c := body[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}
