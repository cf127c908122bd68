package main

import (
	"strings"
	"testing"
)

func TestParseProps(t *testing.T) {
	got, err := parseProps("# made by whiskaway\nAPIHOST=http://127.0.0.1:3233/\nAUTH = 'some-user:some=key'\n")
	if want := (props{"http://127.0.0.1:3233", "some-user", "some=key"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParsePropsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"AUTH=a:b":                      "APIHOST",
		"APIHOST=127.0.0.1:3233\nAUTH=": "APIHOST",
		"APIHOST=http://h\nAUTH=secret": "AUTH",
	} {
		_, err := parseProps(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
