package conformance

import (
	"slices"
	"testing"
)

// An exception is a case that a mode or a language does not have by its nature.
// An empty name stands for all.
type exception struct {
	mode, language string
	why            string
	cases          []string
}

// exceptions are all that there are.
func exceptions() []exception {
	return []exception{
		{language: "native", why: "an executable need not send an ack: one that lives for a second counts as ready",
			cases: []string{"failing init: it is never ready"}},
		{language: "native", why: "the platform's name for main means nothing to an executable",
			cases: []string{"failing init: no such main", "failing init: main is no function"}},
		{language: "native", why: "an executable has no module, so there is no setup() in it, and it loads and starts at once",
			cases: []string{"failing init: setup fails", "failing init: it ends while it loads", "failing init: an exception while it loads",
				"form: setup", "form: async"}},
		{language: "native", why: "it takes an archive whatever /init says of it: nobody means the archive's bytes as a script",
			cases: []string{"failing init: an archive sent as text"}},
		{language: "native", why: "a script with other line ends is another script; it has a failing init of its own",
			cases: []string{"form: text with the line ends of Windows"}},
		{language: "native", why: "a plain ActionLoop has one run at a time", cases: []string{"parallel runs in one process"}},
		{mode: "local", why: "the needs of a target, concurrency among them, are told to servers", cases: []string{"parallel runs in one process"}},
		{language: "python", why: "its launcher parses the input, and writes the result anew", cases: []string{"what is sent and answered passes byte for byte"}},
		{language: "nodejs", why: "its launcher parses the input, and writes the result anew", cases: []string{"what is sent and answered passes byte for byte"}},
		{language: "python", why: "what only JavaScript or its packages have", cases: javaScriptOnly()},
		{language: "native", why: "what only JavaScript or its packages have", cases: javaScriptOnly()},
		{language: "nodejs", why: "what only Python's packages have", cases: pythonOnly()},
		{language: "native", why: "what only Python's packages have", cases: pythonOnly()},
		{language: "python", why: "what only an executable can get wrong, or leave out", cases: nativeOnly()},
		{language: "nodejs", why: "what only an executable can get wrong, or leave out", cases: nativeOnly()},
	}
}

func javaScriptOnly() []string {
	return []string{"form: package.json's main", "form: package.json's main without .js", "form: an ES module", "form: a package of ES modules", "form: an .mjs file"}
}

func pythonOnly() []string {
	return []string{"form: activate_this.py", "form: a virtualenv without activate_this.py"}
}

func nativeOnly() []string {
	return []string{"failing init: source without #!", "failing init: an interpreter that is not there", "failing init: a script with the line ends of Windows",
		"failing init: an executable for another machine", "failing init: an ack that is none",
		"failing init: an ack that is too long", "failing init: an ack that refuses", "failing init: it closes its answers", "form: no ack"}
}

// excepted reports whether a mode or a language does without the case.
func excepted(m mode, l language, name string) bool {
	return slices.ContainsFunc(exceptions(), func(e exception) bool {
		return (e.mode == "" || e.mode == m.name) && (e.language == "" || e.language == l.name) && slices.Contains(e.cases, name)
	})
}

// An exception for a case that nobody has would hide a case that lost its name.
func TestExceptionsAreOfCases(t *testing.T) {
	for _, e := range exceptions() {
		for _, name := range e.cases {
			if !slices.ContainsFunc(allCases(), func(c testCase) bool { return c.name == name }) {
				t.Errorf("there is no case %q", name)
			}
		}
	}
}
