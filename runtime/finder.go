package runtime

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// A deadlineFinder finds the field "deadline" of a JSON object that is written
// to it, in pieces of any size. It does not parse the rest, only skips over
// it; it allocates nothing; text that is not JSON gives any answer, but no harm.
type deadlineFinder struct {
	// deadline is the field's value, a whole number or a string of one; 0 if
	// there is none. The last one counts.
	deadline int64

	depth    int  // open braces and brackets
	object   bool // the outermost one is a brace
	inString bool
	escaped  bool // the last byte was a backslash that is not escaped itself
	atKey    bool // what comes at depth 1 is a key
	isField  bool // the last key at depth 1 was "deadline"

	// token holds the bytes of a key at depth 1, or of the field's value.
	token [maxToken]byte
	size  int // may grow above maxToken: then the token is none of ours
}

// maxToken is more than "deadline", or 19 digits, take when each character is
// written as \u0064.
const maxToken = 160

// Write takes the next piece. It never fails.
func (d *deadlineFinder) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if d.inString {
			rest = rest[d.str(rest):]
		} else {
			rest = rest[d.between(rest):]
		}
	}
	return len(p), nil
}

// keeping reports whether the bytes at hand belong to a token.
func (d *deadlineFinder) keeping() bool { return d.depth == 1 && (d.atKey || d.isField) }

func (d *deadlineFinder) keep(p []byte) {
	if d.size <= maxToken {
		d.size += len(p)
		copy(d.token[min(d.size-len(p), maxToken):], p)
	}
}

// str handles p, the rest of a string, and returns how many bytes it took.
func (d *deadlineFinder) str(p []byte) int {
	n := 1
	switch {
	case d.escaped:
		d.escaped = false
	case p[0] == '\\':
		d.escaped = true
	default:
		if n = plain(p); n < len(p) && p[n] == '"' {
			n++
			d.inString = false
		}
	}
	if d.keeping() {
		d.keep(p[:n])
	}
	return n
}

// plain returns the number of bytes before the first quote or backslash, or
// fewer: it looks ahead only so far that a string full of backslashes does not
// make it read the same bytes again and again.
func plain(p []byte) int {
	p = p[:min(len(p), 512)]
	if i := bytes.IndexByte(p, '"'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\\'); i >= 0 {
		p = p[:i]
	}
	return len(p)
}

// between handles p, which begins outside of strings, up to the next string,
// and returns how many bytes it took.
func (d *deadlineFinder) between(p []byte) int {
	for i, b := range p {
		switch b {
		case '"':
			d.inString = true
		case '{', '[':
			d.open(b)
			continue
		case '}', ']':
			d.endField()
			d.depth--
			continue
		case ',':
			d.endField()
			d.atKey = d.object && d.depth == 1
			continue
		case ':':
			d.endKey()
			continue
		case ' ', '\t', '\n', '\r':
			continue
		}
		if d.keeping() {
			d.keep(p[i : i+1])
		}
		if d.inString {
			return i + 1
		}
	}
	return len(p)
}

func (d *deadlineFinder) open(b byte) {
	if d.depth == 1 && d.isField {
		d.size = maxToken + 1 // a value that has parts is no deadline
	}
	d.depth++
	if d.depth == 1 {
		d.object = b == '{'
		d.atKey, d.size = d.object, 0
	}
}

// endKey is told of a colon.
func (d *deadlineFinder) endKey() {
	if d.depth != 1 || !d.atKey {
		return
	}
	d.isField = d.is("deadline")
	d.atKey, d.size = false, 0
}

// endField is told of a comma, or of a closing brace or bracket.
func (d *deadlineFinder) endField() {
	if d.depth != 1 {
		return
	}
	if d.isField {
		d.deadline = d.number()
	}
	d.atKey, d.isField, d.size = false, false, 0
}

// text returns the token; nil if it was too long.
func (d *deadlineFinder) text() []byte {
	if d.size > maxToken {
		return nil
	}
	return d.token[:d.size]
}

// unescape returns the string that t is, which has backslashes in it. It is
// given a copy so that the finder itself need not be on the heap.
func unescape(t []byte) (s string, ok bool) {
	err := json.Unmarshal(bytes.Clone(t), &s)
	return s, err == nil
}

// is reports whether the token is the string want.
func (d *deadlineFinder) is(want string) bool {
	t := d.text()
	if bytes.IndexByte(t, '\\') < 0 {
		return len(t) == len(want)+2 && string(t[1:len(t)-1]) == want
	}
	got, ok := unescape(t)
	return ok && got == want
}

// number returns the token's value if it is a positive whole number, or a
// string of one; otherwise 0.
func (d *deadlineFinder) number() int64 {
	t := d.text()
	if bytes.IndexByte(t, '\\') >= 0 {
		s, ok := unescape(t)
		if !ok {
			return 0
		}
		t = []byte(s)
	} else if len(t) >= 2 && t[0] == '"' {
		t = t[1 : len(t)-1]
	}
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
