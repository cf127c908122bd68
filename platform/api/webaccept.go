package api

import (
	"strconv"
	"strings"
)

// accepts reports whether an Accept header takes a content type: the range that names it best
// decides. See RFC 9110, section 12.5.1.
func accepts(accept []string, contentType string) bool {
	if len(accept) == 0 {
		return true
	}
	name := parseMedia(contentType).name
	main, _, _ := strings.Cut(name, "/")
	best, weight, asked := 0, 0.0, false
	for _, value := range accept {
		for part := range strings.SplitSeq(value, ",") {
			text, parameters, _ := strings.Cut(part, ";")
			text = strings.ToLower(strings.TrimSpace(text))
			if text == "" {
				continue
			}
			asked = true
			rank := 0
			switch text {
			case name:
				rank = 3
			case main + "/*":
				rank = 2
			case "*/*", "*":
				rank = 1
			}
			if w := weightOf(parameters); rank > best || rank > 0 && rank == best && w > weight {
				best, weight = rank, w
			}
		}
	}
	return !asked || weight > 0
}

// weightOf returns the parameter q of a media range, 0 to 1; what is none counts as 1.
func weightOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		if w, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && w >= 0 && w <= 1 {
			return w
		}
	}
	return 1
}
