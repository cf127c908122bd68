package controller

import (
	"net/http"
	"slices"
	"strings"
)

// A Kind is a language that actions can be written in.
type Kind struct {
	Name    string   // "python:3"
	Aliases []string // "python", "python:default"
	Default bool     // of its language
	Image   string   // where containers run it; empty: none
	// Deprecated actions can be read and deleted, but not written or invoked.
	Deprecated  bool
	RequireMain bool
	StemCells   []StemCell // containers to start in advance
}

// StemCell is OpenWhisk's word for containers that are started before an action needs them.
type StemCell struct {
	Count  int
	Memory int // megabytes of each
}

// DefaultKinds are those that Whiskaway's own runtime knows.
func DefaultKinds() []Kind {
	return []Kind{
		{Name: "python:3", Aliases: []string{"python:default", "python"}, Default: true},
		{Name: "nodejs:20", Aliases: []string{"nodejs:default", "nodejs"}, Default: true},
		{Name: "native", Aliases: []string{"native:default"}, Default: true},
	}
}

// kindBlackbox is the kind of actions that have an image of their own.
const kindBlackbox = "blackbox"

// resolveKind returns the kind that name means.
func (c *Controller) resolveKind(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if k := c.kind(name); k != nil {
		return k.Name, nil
	}
	switch name {
	case "":
		return "", Malformed("'kind' must be a string defined in 'exec'")
	case kindBlackbox:
		if !c.cfg.Blackbox {
			return "", Malformed("actions of kind 'blackbox' (exec.image) run in containers, and this platform has none: start it with --driver docker")
		}
		return name, nil
	}
	return "", Malformed("kind '%s' not in Set(%s)", name, strings.Join(c.kindNames(), ", "))
}

// kind returns the kind of that name or alias, or nil.
func (c *Controller) kind(name string) *Kind {
	for i := range c.cfg.Kinds {
		if k := &c.cfg.Kinds[i]; k.Name == name || slices.Contains(k.Aliases, name) {
			return k
		}
	}
	return nil
}

// checkKind refuses what an operator has declared to be over.
func (c *Controller) checkKind(name string) error {
	if k := c.kind(name); k != nil && k.Deprecated {
		return Refuse(http.StatusBadRequest, "The '%s' runtime is no longer supported. You may read and delete but not update or invoke this action.", name)
	}
	return nil
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
