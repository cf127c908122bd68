package stream

import (
	"encoding/json"
	"strings"
	"testing"
)

// collect joins items and collects them.
func collect(items ...string) string {
	var all []byte
	var ends []int
	for _, item := range items {
		all = append(all, item...)
		ends = append(ends, len(all))
	}
	return string(Collect(all, ends))
}

func TestCollect(t *testing.T) {
	for _, c := range []struct {
		items []string
		want  string
	}{
		{nil, `{"items":[]}`},
		{[]string{`1`}, `{"items":[1]}`},
		{[]string{`1`, `"b"`, `{"c":3}`}, `{"items":[1,"b",{"c":3}]}`},
		{[]string{`1`, `{"result":{"a":1.0}}`}, `{"a":1.0}`},
		{[]string{`1`, `{"result":[2]}`}, `[2]`},
		{[]string{`{"result":{}}`}, `{}`},
		{[]string{`1`, ` { "result" : { "a" : "}," } } `}, `{ "a" : "}," }`},
		{[]string{`{"result":{"a":1}}`, `2`}, `{"items":[{"result":{"a":1}},2]}`},
		{[]string{`{"result":"text"}`}, `{"items":[{"result":"text"}]}`},
		{[]string{`{"result":null}`}, `{"items":[{"result":null}]}`},
		{[]string{`{"result":{},"more":1}`}, `{"items":[{"result":{},"more":1}]}`},
		{[]string{`{"more":1,"result":{}}`}, `{"items":[{"more":1,"result":{}}]}`},
		{[]string{`{"results":{}}`}, `{"items":[{"results":{}}]}`},
		{[]string{`1`, `{"error":"no"}`}, `{"error":"no"}`},
		{[]string{`1`, `{"error":{"code":5}}`}, `{"error":{"code":5}}`},
		{[]string{`1`, `{"error":"a \" , b"}`}, `{"error":"a \" , b"}`},
		{[]string{`{"error":"no"}`, `1`}, `{"items":[{"error":"no"},1]}`},
		{[]string{`{"error":"no","partial":1}`}, `{"items":[{"error":"no","partial":1}]}`},
		{[]string{`1`, `{}`}, `{"items":[1,{}]}`},
		{[]string{`12345678901234567890`, `1.10`}, `{"items":[12345678901234567890,1.10]}`},
	} {
		if got := collect(c.items...); got != c.want {
			t.Errorf("%q: %s, want %s", c.items, got, c.want)
		}
	}
}

// What is no JSON, from a strange server say, is passed on and harms nobody.
func TestCollectOfNoJSON(t *testing.T) {
	for _, item := range []string{`{"error"}`, `{"error":}`, `{"error" 1`, `{"result`, `{"error":"`, `{`, `}`, `{"error":"a`} {
		if got := collect(item); got != item && got != `{"items":[`+item+`]}` {
			t.Errorf("%q: %s", item, got)
		}
	}
}

// FuzzCollect compares with encoding/json's reading of the last item.
func FuzzCollect(f *testing.F) {
	for _, s := range []string{`{"result":[1,{"a":"]"}]}`, `{"error":"x\\"}`, `{"result":{"a":1},"b":2}`, `[1]`, `{"error":1,"error":2}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, last string) {
		got := collect(`1`, last)
		if !json.Valid([]byte(last)) {
			return
		}
		want := `{"items":[1,` + last + `]}`
		switch key, value := onlyMember(last); {
		case key == `"error"`:
			want = last
		case key == `"result"` && (value[0] == '{' || value[0] == '['):
			want = value
		}
		if got != want {
			t.Errorf("%q: %s, want %s", last, got, want)
		}
	})
}

// onlyMember returns the one key, as it is written, and its value.
func onlyMember(object string) (key, value string) {
	d := json.NewDecoder(strings.NewReader(object))
	if start, err := d.Token(); err != nil || start != json.Delim('{') || !d.More() {
		return "", ""
	}
	begin := d.InputOffset()
	d.Token()
	key = strings.Trim(object[begin:d.InputOffset()], space)
	var raw json.RawMessage
	if d.Decode(&raw) != nil || d.More() {
		return "", ""
	}
	return key, string(raw)
}
