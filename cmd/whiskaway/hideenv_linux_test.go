package main

import "testing"

func TestSecretsAreOverwrittenInAnEnvironment(t *testing.T) {
	for _, c := range []struct{ block, secret, want string }{
		{"A=1\x00WHISKAWAY_TOKEN=tok~en\x00B=\x00", "tok", "A=1\x00WHISKAWAY_TOKEN=xxxxxx\x00B=\x00"},
		{"COPY=_0123456789_\x00WHISKAWAY_TOKEN=0123456789", "0123456789", "COPY=_xxxxxxxxxx_\x00WHISKAWAY_TOKEN=xxxxxxxxxx"},
		{"", "0123456789", ""},
	} {
		if got := string(withoutSecret([]byte(c.block), "WHISKAWAY_TOKEN", c.secret)); got != c.want {
			t.Errorf("%q becomes %q, not %q", c.block, got, c.want)
		}
	}
}
