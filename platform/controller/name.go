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
// they mean to id.
func (id Identity) Name(namespace string, parts ...string) (Name, error) {
	namespace, err := id.Resolve(namespace)
	if err != nil {
		return Name{}, err
	}
	for _, part := range parts {
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

// reference reads a name as rules write it: "/_/pkg/name", "/ns/name" or "name".
func (id Identity) reference(text string) (Name, error) {
	parts := strings.Split(strings.TrimPrefix(text, "/"), "/")
	if !strings.HasPrefix(text, "/") && len(parts) < 3 {
		parts = append([]string{"_"}, parts...)
	}
	if len(parts) < 2 || len(parts) > 3 {
		return Name{}, Malformed("The fully qualified name of the entity must contain at least the namespace and the name of the entity.")
	}
	return id.Name(parts[0], parts[1:]...)
}

// pathOf returns "namespace" or "namespace/package".
func pathOf(n Name) string {
	if n.Package == "" {
		return n.Namespace
	}
	return n.Namespace + "/" + n.Package
}

// fullName returns "namespace/name" or "namespace/package/name".
func fullName(n Name) string { return pathOf(n) + "/" + n.Name }
