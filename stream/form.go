package stream

import (
	"strconv"
	"strings"
)

// A Form is how a reader wants the items.
type Form byte

// The forms.
const (
	None   Form = iota // as one object, when the run has ended
	Events             // as Server-Sent Events
	Lines              // as lines of JSON
)

// The media types of the forms.
const (
	TypeEvents = "text/event-stream"
	TypeLines  = "application/x-ndjson"
)

// ContentType is the form's media type.
func (f Form) ContentType() string {
	switch f {
	case Events:
		return TypeEvents
	case Lines:
		return TypeLines
	}
	return "application/json"
}

// Asked returns the form that the values of an Accept header ask for. Only who
// names a form gets it, and not who would rather have application/json: by its own
// name or by a wildcard. See RFC 9110, section 12.5.1.
func Asked(accept []string) Form {
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == "application/json") {
		return None // nearly always; spares the rest
	}
	var events, lines, object float64
	exact := 0 // how exactly object was named
	for _, value := range accept {
		for media := range strings.SplitSeq(value, ",") {
			name, q := rangeOf(media)
			switch rank := objectRank(name); {
			case name == TypeEvents:
				events = q
			case name == TypeLines:
				lines = q
			case rank > exact:
				exact, object = rank, q
			}
		}
	}
	switch {
	case max(events, lines) <= 0, object > max(events, lines):
		return None
	case lines > events:
		return Lines
	}
	return Events
}

// objectRank says how exactly a media range names application/json; 0: not at all.
func objectRank(name string) int {
	switch name {
	case "*/*":
		return 1
	case "application/*":
		return 2
	case "application/json":
		return 3
	}
	return 0
}

// rangeOf returns the name of a media range and its weight, 0 to 1. What is no
// weight counts as none given, which is 1.
func rangeOf(media string) (name string, q float64) {
	name, parameters, _ := strings.Cut(media, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		if w, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && w >= 0 && w <= 1 {
			q = w
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), q
}
