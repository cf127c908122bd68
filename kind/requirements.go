package kind

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Requirements are what a requirements.txt asks for.
type requirements struct {
	lines []string // without comments and blank lines
	// noDeps says that the list is complete: a line "# whiskaway: no-deps".
	noDeps bool
}

// allowedOptions are those that only choose among what an index offers.
var allowedOptions = []string{"--pre", "--prefer-binary", "--only-binary", "--no-binary", "--require-hashes"}

// parseRequirements reads a requirements.txt as pip does, and refuses what would
// reach beyond it: files of this machine, other indexes, our environment.
func parseRequirements(text string) (requirements, error) {
	var r requirements
	for _, l := range joinedLines(text) {
		if isPragma(l.text) {
			r.noDeps = true
		}
		line := withoutComment(l.text)
		if line == "" {
			continue
		}
		if why := refuse(line); why != "" {
			return r, fmt.Errorf("line %d, %q: %s", l.number, line, why)
		}
		r.lines = append(r.lines, line)
	}
	return r, nil
}

// A numberedLine is one or more lines of a file, joined.
type numberedLine struct {
	number int // of the first, from 1 on
	text   string
}

// joinedLines joins a line that ends in a backslash with the next, as pip does:
// a comment is not continued.
func joinedLines(text string) []numberedLine {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", " ").Replace(strings.TrimPrefix(text, "\ufeff"))
	var all []numberedLine
	open := false // the last one goes on
	for i, line := range strings.Split(text, "\n") {
		comment := strings.HasPrefix(strings.TrimLeft(line, " "), "#")
		goesOn := strings.HasSuffix(line, `\`) && !comment
		if goesOn {
			line = strings.Trim(line, `\`)
		}
		switch {
		case open && comment:
			all[len(all)-1].text += " " + line
		case open:
			all[len(all)-1].text += line
		default:
			all = append(all, numberedLine{i + 1, line})
		}
		open = goesOn
	}
	return all
}

func isPragma(line string) bool {
	comment, ok := strings.CutPrefix(strings.TrimSpace(line), "#")
	return ok && strings.TrimSpace(comment) == "whiskaway: no-deps"
}

// withoutComment cuts a # that begins the line or follows a space, as pip does.
func withoutComment(line string) string {
	if strings.HasPrefix(line, "#") {
		return ""
	}
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

// refuse says why a line is not allowed, or nothing.
func refuse(line string) string {
	low := strings.ToLower(line)
	switch {
	case !utf8.ValidString(line), strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }):
		// pip ends lines at some of these and passes over others, so what it reads would not be what we see.
		return "it has a character that cannot be printed; save the file as plain UTF-8"
	case strings.HasPrefix(line, "-"):
		return refuseOptions(line)
	case strings.Contains(line, "${"):
		return "variables are not allowed; write the value"
	case strings.Contains(low, "file:"), strings.HasPrefix(line, "."), strings.HasPrefix(line, "/"), strings.HasPrefix(line, "~"):
		return "paths are not allowed; put the package's files beside __main__.py instead"
	case strings.Contains(strings.ReplaceAll(low, "https://", ""), "://"):
		return "only https URLs are allowed"
	}
	return ""
}

// refuseOptions looks at a line of options, of which pip takes several.
func refuseOptions(line string) string {
	if strings.ContainsAny(line, "\\\"'") {
		return "quotes and backslashes are not allowed in a line of options"
	}
	for _, field := range strings.Fields(line) {
		option, _, _ := strings.Cut(field, "=")
		if strings.HasPrefix(field, "-") && !slices.Contains(allowedOptions, option) {
			return "the option " + option + " is not allowed here; which index is used is the server's choice"
		}
	}
	return ""
}

// key names the environment: whatever changes what pip would install changes it.
func (r requirements) key(python interpreter) string {
	return keyOf("pip 2", python.Path, python.Version, fmt.Sprint(r.noDeps), fmt.Sprintf("%q", r.lines))
}
