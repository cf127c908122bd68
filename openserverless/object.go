package openserverless

import (
	"bytes"
	"encoding/json"
	"errors"
)

// A member is one field of a JSON object. Its slices are parts of the object's
// text, byte for byte.
type member struct {
	name  string
	text  []byte // name, colon and value
	value []byte
}

var errNotObject = errors.New("it is not a JSON object")

// members returns the fields of the JSON object that text is, in their order.
func members(text []byte) ([]member, error) {
	trimmed := bytes.TrimLeft(text, space)
	if len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return nil, errNotObject
	}
	var all []member
	rest := bytes.TrimLeft(trimmed[1:], space+",")
	for rest[0] != '}' {
		m := cutMember(rest)
		all = append(all, m)
		rest = bytes.TrimLeft(rest[len(m.text):], space+",")
	}
	return all, nil
}

const space = " \t\r\n"

// cutMember returns the field that rest, a part of valid JSON, begins with.
func cutMember(rest []byte) member {
	end := endOfString(rest)
	var m member
	json.Unmarshal(rest[:end], &m.name) // it is valid
	start := end + bytes.IndexByte(rest[end:], ':') + 1
	for bytes.IndexByte([]byte(space), rest[start]) >= 0 {
		start++
	}
	end = start + endOfValue(rest[start:])
	m.text, m.value = rest[:end], rest[start:end]
	return m
}

// endOfString returns the length of the string that text begins with.
func endOfString(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// endOfValue returns the length of the value that text begins with.
func endOfValue(text []byte) int {
	depth := 0
	for i := 0; ; {
		switch text[i] {
		case '"':
			i += endOfString(text[i:])
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			i += plain(text[i:])
		}
		if depth == 0 {
			return i
		}
	}
}

// plain returns how many bytes come before the next string, brace or bracket, or
// before the end of a number or word that text begins with.
func plain(text []byte) int {
	if bytes.IndexByte([]byte(space+",:"), text[0]) >= 0 {
		return 1
	}
	if n := bytes.IndexAny(text, space+`,:"{}[]`); n > 0 {
		return n
	}
	return len(text)
}

// compose returns a JSON object of fields that are written already.
func compose(fields [][]byte) []byte {
	size := 2
	for _, f := range fields {
		size += len(f) + 1
	}
	text := append(make([]byte, 0, size), '{')
	for i, f := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, f...)
	}
	return append(text, '}')
}

// textField writes a field whose value is a text.
func textField(name, value string) []byte {
	field := append(quote(name), ':')
	return append(field, quote(value)...)
}

// quote writes a text as JSON, with < and > and & as they are.
func quote(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(text) // a text always can
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
