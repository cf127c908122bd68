package store

import (
	"strconv"
	"unicode/utf8"
)

// A JSONAppender writes itself as JSON. Annotations that every run has are
// written so, since reflection costs more than all the rest of a record.
type JSONAppender interface {
	AppendJSON(b []byte) []byte
}

// head returns the record without response and logs, its fields as their tags
// say.
func (r *Record) head() ([]byte, error) {
	b := append(make([]byte, 0, 1024), `{"annotations":[`...)
	for i, a := range r.Annotations {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, `{"key":`, a.Key)
		b = append(b, `,"value":`...)
		var err error
		if b, err = appendValue(b, a.Value); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	b = appendText(b, `],"activationId":`, r.ID)
	if r.Cause != "" {
		b = appendText(b, `,"cause":`, r.Cause)
	}
	if r.Duration != nil {
		b = appendNumber(b, `,"duration":`, *r.Duration)
	}
	if r.End != 0 {
		b = appendNumber(b, `,"end":`, r.End)
	}
	b = appendText(b, `,"name":`, r.Name)
	b = appendText(b, `,"namespace":`, r.Namespace)
	b = strconv.AppendBool(append(b, `,"publish":`...), r.Publish)
	b = appendNumber(b, `,"start":`, r.Start)
	b = appendNumber(b, `,"statusCode":`, int64(r.Status))
	b = appendText(b, `,"subject":`, r.Subject)
	b = appendText(b, `,"version":`, r.Version)
	return append(b, '}'), nil
}

func appendValue(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case string:
		return AppendString(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case JSONAppender:
		return v.AppendJSON(b), nil
	}
	text, err := Encode(value)
	return append(b, text...), err
}

func appendText(b []byte, name, value string) []byte { return AppendString(append(b, name...), value) }

func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}

// AppendString appends s as a JSON string.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := Encode(s)
			if err != nil { // cannot be: any string can be encoded
				quoted = []byte(`""`)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
