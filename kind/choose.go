package kind

import (
	"strconv"
	"strings"
)

// Serves reports whether functions of that kind can be run here: those that
// Kinds lists, all of them where the action proxy's compiler is, "python:default" and its like, and "python:3.11" where the
// interpreter is a 3.11.
func (s *Set) Serves(kind string) bool {
	if canonical(kind) == Native || s.proxy.Compiler != "" {
		return true
	}
	if _, ok := s.compiler(kind); ok {
		return true
	}
	_, ok := s.interpreter(kind)
	return ok
}

// interpreter chooses who runs a kind: the one of exactly that name, else the
// first one whose version will do.
func (s *Set) interpreter(kind string) (interpreter, bool) {
	kind = canonical(kind)
	for _, i := range s.have.Interpreters {
		if i.Kind == kind {
			return i, true
		}
	}
	language, version, _ := strings.Cut(kind, ":")
	for _, i := range s.have.Interpreters {
		if i.language() == language && i.serves(version) {
			return i, true
		}
	}
	return interpreter{}, false
}

// compiler chooses who compiles a kind. "ruby:default" is the first for ruby.
func (s *Set) compiler(kind string) (compiler, bool) {
	for _, c := range s.have.Compilers {
		language, _, _ := strings.Cut(c.Kind, ":")
		if c.Kind == kind || language+":default" == kind {
			return c, true
		}
	}
	return compiler{}, false
}

// serves reports whether the interpreter will do for that version of its
// language: "3.11.7" does for "3.11" and "3". Any Node.js does for "20", which is what
// OpenWhisk calls its current one; and Go compiles what older versions did.
func (i interpreter) serves(version string) bool {
	switch {
	case i.language() == "nodejs" && version == "20":
		return true
	case i.language() == "go":
		want, err := strconv.Atoi(strings.TrimPrefix(version, "1."))
		have, _ := majorMinor(i.Version)
		return version == "1" || err == nil && strings.HasPrefix(version, "1.") && have[0] == 1 && want <= have[1]
	}
	return i.Version == version || version != "" && strings.HasPrefix(i.Version, version+".")
}

// canonical turns "python:default" into the kind that it stands for.
func canonical(kind string) string {
	switch strings.TrimSuffix(kind, ":default") {
	case "python":
		return Python
	case "nodejs":
		return NodeJS
	case "go":
		return Go
	case "native":
		return Native
	}
	return kind
}
