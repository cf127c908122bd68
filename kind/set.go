package kind

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// The kinds.
const (
	Python = "python:3"
	NodeJS = "nodejs:20" // any Node.js from 18 on serves it
	Native = "native"
)

// Options say where to look. The zero value looks in PATH.
type Options struct {
	Python string // the interpreter to use; empty: python3
	Node   string // empty: node
	// Tool runs pip and the like; nil runs them as plain child processes. A
	// server passes one that keeps them from outliving it.
	Tool Tool
	Log  *slog.Logger
}

// A Set is what this machine can run. It does not change.
type Set struct {
	python interpreter
	node   interpreter
	path   string // PATH, for tools and functions
	tool   Tool
}

// Discover finds the interpreters. One that is missing is not an error, but one
// that opts names and that does not work is. It starts each once, unless the
// environment has what a parent's Environ said.
func Discover(ctx context.Context, opts Options) (*Set, error) {
	s := &Set{path: os.Getenv("PATH"), tool: opts.Tool}
	if s.tool == nil {
		s.tool = plainTool
	}
	var err error
	if s.python, err = pythonFinder.find(ctx, opts.Python); err != nil {
		return nil, err
	}
	if s.node, err = nodeFinder.find(ctx, opts.Node); err != nil {
		return nil, err
	}
	if opts.Log != nil {
		opts.Log.Info("found interpreters", "python", s.python.version, "node", s.node.version)
	}
	return s, nil
}

// Kinds lists what can be run here, with the interpreters' true versions.
func (s *Set) Kinds() []function.Kind {
	var kinds []function.Kind
	if s.python.path != "" {
		kinds = append(kinds, function.Kind{Name: Python, Version: s.python.version})
	}
	if s.node.path != "" {
		kinds = append(kinds, function.Kind{Name: NodeJS, Version: s.node.version})
	}
	return append(kinds, function.Kind{Name: Native})
}

// Environ is for the environment of a child process of ours: with it the
// child's Discover starts no interpreter.
func (s *Set) Environ() []string {
	return slices.Concat(pythonFinder.environ(s.python), nodeFinder.environ(s.node))
}

// canonical turns "python:default" into the kind that it stands for.
func canonical(kind string) string {
	switch strings.TrimSuffix(kind, ":default") {
	case "python":
		return Python
	case "nodejs":
		return NodeJS
	case "native":
		return Native
	}
	return kind
}

// unknown is the error for a kind that is not served here.
func (s *Set) unknown(kind string) error {
	var names []string
	for _, k := range s.Kinds() {
		names = append(names, k.Name)
	}
	return function.Errorf(function.CodeBadRequest, "the kind %q cannot be run here; there are %s", kind, strings.Join(names, ", "))
}
