package alarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A date is a moment as a client wrote it: JSON, milliseconds since 1970 or a string in one of
// the layouts. It is kept so, since a client who reads it back expects it unchanged.
type date json.RawMessage

// layouts are the strings that are taken for a date: ISO 8601's, as JavaScript's Date
// reads them, and that of an HTTP header. Without a zone it is UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC1123, time.RFC1123Z,
}

// MarshalJSON implements json.Marshaler.
func (d date) MarshalJSON() ([]byte, error) { return json.RawMessage(d).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (d *date) UnmarshalJSON(b []byte) error {
	*d = append((*d)[:0], b...)
	return nil
}

// isSet reports whether the client said anything.
func (d date) isSet() bool {
	text := string(bytes.TrimSpace(d))
	return text != "" && text != "null" && text != `""` && text != "0"
}

// time returns the moment; the zero time: none was given.
func (d date) time() (time.Time, error) {
	if !d.isSet() {
		return time.Time{}, nil
	}
	text := d.String()
	if ms, err := strconv.ParseFloat(text, 64); err == nil && d[0] != '"' {
		if ms < -8.64e15 || ms > 8.64e15 { // JavaScript's bounds of a Date
			return time.Time{}, fmt.Errorf("'%s' is not a valid Date", text)
		}
		return time.UnixMilli(int64(ms)).UTC(), nil
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("'%s' is not a valid Date", text)
}

// String returns it without quotes.
func (d date) String() string {
	var s string
	if json.Unmarshal(d, &s) == nil {
		return s
	}
	return string(d)
}

// future checks a parameter that must name a moment after now, and after the one that
// it follows, if that is given. The words are those of OpenWhisk's package.
func (d date) future(name string, now time.Time, after date) error {
	t, err := d.time()
	if err != nil {
		return fmt.Errorf("%s parameter %w", name, err)
	}
	if !t.After(now) {
		return fmt.Errorf("%s parameter '%s' must be in the future", name, d)
	}
	earlier, err := after.time()
	if err != nil {
		return fmt.Errorf("startDate parameter %w", err)
	}
	if after.isSet() && !t.After(earlier) {
		return fmt.Errorf("%s parameter '%s' must be greater than the startDate parameter '%s'", name, d, after)
	}
	return nil
}
