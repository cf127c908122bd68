package kind

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// The kinds that are looked for on every machine.
const (
	Python = "python:3"
	NodeJS = "nodejs:20" // any Node.js from 18 on serves it
	Go     = "go:1"      // any Go toolchain from 1.21 on
	Native = "native"
)

// Options say where to look. The zero value looks in PATH.
type Options struct {
	Python string // the interpreter to use; empty: python3
	Node   string // empty: node
	// Interpreters are further ones, each like "python:3.12=/path/to/python".
	// They are served under exactly that name. Node.js and Go can be named too.
	Interpreters []string
	// Compilers are compiler scripts by the ActionLoop contract, each like
	// "ruby:2.5=/path/to/compile". They serve kinds that are not known here.
	Compilers []string
	// Only names the one language whose interpreter is looked for; empty: all.
	Only string
	// Proxy is for a runtime in its container.
	Proxy Proxy
	// Usable, which may be called several times at once, tries a command as functions are run: an interpreter that we can start
	// may lie where they see nothing. nil: what we can start is usable.
	Usable func(ctx context.Context, c Command) error
	// Tool runs pip and the like; nil runs them as plain child processes. A
	// server passes one that keeps them from outliving it.
	Tool Tool
	Log  *slog.Logger
}

// A Set is what this machine can run. It does not change.
type Set struct {
	have  found
	proxy Proxy
	path  string // PATH, for tools and functions
	tool  Tool
	// bundling says that what is prepared here gets its exec.env afterwards.
	bundling bool
}

// Discover finds the interpreters. One that is missing is not an error, but one
// that opts names and that does not work is. It starts each once, unless the
// environment has what a parent's Environ said.
func Discover(ctx context.Context, opts Options) (*Set, error) {
	s := &Set{path: os.Getenv("PATH"), tool: opts.Tool, proxy: opts.Proxy}
	if s.tool == nil {
		s.tool = plainTool
	}
	var err error
	if s.proxy.Compiler != "" {
		s.proxy.Compiler, err = s.proxy.findCompiler()
		return s, err
	}
	if s.have, err = find(ctx, opts); err != nil {
		return nil, err
	}
	if opts.Log != nil {
		opts.Log.Info("found interpreters", "kinds", strings.Join(s.describe(), ", "))
	}
	return s, nil
}

// Kinds lists what can be run here, with the interpreters' true versions.
func (s *Set) Kinds() []function.Kind {
	var kinds []function.Kind
	for _, i := range s.have.Interpreters {
		kinds = append(kinds, function.Kind{Name: i.Kind, Version: i.Version})
	}
	for _, c := range s.have.Compilers {
		kinds = append(kinds, function.Kind{Name: c.Kind})
	}
	return append(kinds, function.Kind{Name: Native})
}

// Interpreter is the path of a language's interpreter, "python" for example; empty where
// there is none.
func (s *Set) Interpreter(language string) string {
	for _, i := range s.have.Interpreters {
		if i.language() == language {
			return i.Path
		}
	}
	return ""
}

// Environ is for the environment of a child process of ours: with it the
// child's Discover starts no interpreter.
func (s *Set) Environ() []string { return s.have.environ() }

// describe is Kinds for people.
func (s *Set) describe() []string {
	var words []string
	for _, k := range s.Kinds() {
		words = append(words, strings.TrimSpace(k.Name+" "+k.Version))
	}
	return words
}

// unknown is the error for a kind that is not served here.
func (s *Set) unknown(kind string) error {
	return function.Errorf(function.CodeBadRequest, "the kind %q cannot be run here; there are %s", kind, strings.Join(s.describe(), ", "))
}
