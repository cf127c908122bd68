package function

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// AppendJSON appends what json.Marshal returns for s, at less cost.
func (s *Summary) AppendJSON(b []byte) []byte {
	b = appendText(append(b, `{"outcome":`...), string(s.Outcome))
	if s.Error != "" {
		b = appendText(append(b, `,"error":`...), s.Error)
	}
	if s.Stream {
		b = append(b, `,"stream":true`...)
	}
	if s.Cold {
		b = append(b, `,"cold":true`...)
	}
	if s.Memory != 0 {
		b = strconv.AppendInt(append(b, `,"memory":`...), s.Memory, 10)
	}
	if s.Server != "" {
		b = appendText(append(b, `,"server":`...), s.Server)
	}
	for i, st := range s.Stations {
		if i == 0 {
			b = append(b, `,"stations":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"name":`...), st.Name)
		b = strconv.AppendInt(append(b, `,"us":`...), st.Micros, 10)
		b = append(b, '}')
	}
	if len(s.Stations) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendText appends text as a JSON string.
func appendText(b []byte, text string) []byte {
	if !isPlain(text) {
		quoted, _ := json.Marshal(text) // a string: cannot fail
		return append(b, quoted...)
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// isPlain reports whether json.Marshal writes text as it is.
func isPlain[T string | []byte](text T) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// ParseJSON sets s to what text says, if that is as AppendJSON writes it, with
// plain texts. Otherwise it returns false, and s is of no use: encoding/json
// must read it.
func (s *Summary) ParseJSON(text []byte) bool {
	*s = Summary{}
	r := reader{rest: text, ok: true}
	r.must(`{"outcome":`)
	s.Outcome = knownOutcome(r.text())
	if r.has(`,"error":`) {
		s.Error = string(r.text())
	}
	s.Stream = r.has(`,"stream":true`)
	s.Cold = r.has(`,"cold":true`)
	if r.has(`,"memory":`) {
		s.Memory = r.number()
	}
	if r.has(`,"server":`) {
		s.Server = string(r.text())
	}
	if r.has(`,"stations":[`) {
		s.Stations = r.stations()
	}
	r.must(`}`)
	return r.ok && len(r.rest) == 0
}

// A reader reads JSON that is written in one way only. After a mismatch it is
// not ok any more.
type reader struct {
	rest []byte
	ok   bool
}

// has reads token, if that is next.
func (r *reader) has(token string) bool {
	if len(r.rest) < len(token) || string(r.rest[:len(token)]) != token {
		return false
	}
	r.rest = r.rest[len(token):]
	return true
}

func (r *reader) must(token string) { r.ok = r.has(token) && r.ok }

// text reads a string of plain characters.
func (r *reader) text() []byte {
	r.must(`"`)
	end := bytes.IndexByte(r.rest, '"')
	if end < 0 || !isPlain(r.rest[:end]) {
		r.ok = false
		return nil
	}
	text := r.rest[:end]
	r.rest = r.rest[end+1:]
	return text
}

// number reads an integer of no more than 18 digits.
func (r *reader) number() int64 {
	const longest = 18
	negative := r.has("-")
	n, digits := int64(0), 0
	for ; digits < len(r.rest) && digits <= longest; digits++ {
		c := r.rest[digits]
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	if digits == 0 || digits > longest || r.rest[0] == '0' && digits > 1 {
		r.ok = false
		return 0
	}
	r.rest = r.rest[digits:]
	if negative {
		return -n
	}
	return n
}

func (r *reader) stations() []Station {
	list := make([]Station, 0, 4) // all that there are
	for r.ok && (len(list) == 0 || r.has(",")) {
		r.must(`{"name":`)
		name := knownStation(r.text())
		r.must(`,"us":`)
		list = append(list, Station{Name: name, Micros: r.number()})
		r.must(`}`)
	}
	r.must(`]`)
	return list
}

// knownOutcome spares the making of a string.
func knownOutcome(text []byte) Outcome {
	for _, known := range [...]Outcome{OutcomeOK, OutcomeCrashed, OutcomeTimeout} {
		if string(text) == string(known) {
			return known
		}
	}
	return Outcome(text)
}

// knownStation spares the making of a string.
func knownStation(text []byte) string {
	for _, known := range [...]string{"function", "server", "balancer", "runtime"} {
		if string(text) == known {
			return known
		}
	}
	return string(text)
}
