package controller

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/whiskaway/whiskaway/platform/store"
)

// A Name names an entity; Package is empty but for actions in one.
type Name = store.Key

// maxName is OpenWhisk's limit for each part of a name, in bytes.
const maxName = 256

// names is OpenWhisk's rule for each part of a name.
var names = regexp.MustCompile(`\A(\w|\w[\w@ .&-]*[\w@.&-])\z`)

func checkName(part string) error {
	if len(part) > maxName {
		return Refuse(http.StatusRequestEntityTooLarge, "Entity name longer than allowed: %d > %d.", len(part), maxName)
	}
	if !names.MatchString(part) {
		return Refuse(http.StatusBadRequest, "The name of the entity contains illegal characters.")
	}
	return nil
}

// Name checks the parts of a path, [package,] name, and returns the name that
// they mean to id. It says nothing about who may.
func (id Identity) Name(namespace string, parts ...string) (Name, error) {
	namespace = id.Expand(namespace)
	for _, part := range append([]string{namespace}, parts...) {
		if err := checkName(part); err != nil {
			return Name{}, err
		}
	}
	switch len(parts) {
	case 1:
		return Name{Namespace: namespace, Name: parts[0]}, nil
	case 2:
		return Name{Namespace: namespace, Package: parts[0], Name: parts[1]}, nil
	}
	return Name{}, errNotFound
}

// errNameTooShort is OpenWhisk's word for a name without a namespace.
var errNameTooShort = Malformed("The fully qualified name of the entity must contain at least the namespace and the name of the entity.")

// reference reads a name as rules and conductors write it: "/_/pkg/name",
// "/ns/name", "pkg/name" or "name"; of three parts the first is the namespace in
// any case. It says nothing about who may.
func (id Identity) reference(text string) (Name, error) {
	parts := segments(text)
	if !strings.HasPrefix(text, "/") && len(parts) < 3 {
		parts = append([]string{"_"}, parts...)
	}
	return id.full(parts)
}

// component reads a name as sequences write it: it always begins with the namespace.
func (id Identity) component(text string) (Name, error) { return id.full(segments(text)) }

func (id Identity) full(parts []string) (Name, error) {
	if len(parts) < 2 || len(parts) > 3 {
		return Name{}, errNameTooShort
	}
	return id.Name(parts[0], parts[1:]...)
}

// segments are the parts of a path; one slash is as good as two.
func segments(path string) (list []string) {
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			list = append(list, part)
		}
	}
	return list
}

// parseName reads a name that was stored in full.
func parseName(text string) (Name, error) { return Identity{}.component(text) }

// pathOf returns "namespace" or "namespace/package".
func pathOf(n Name) string {
	if n.Package == "" {
		return n.Namespace
	}
	return n.Namespace + "/" + n.Package
}

// fullName returns "namespace/name" or "namespace/package/name".
func fullName(n Name) string { return pathOf(n) + "/" + n.Name }
