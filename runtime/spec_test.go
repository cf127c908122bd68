package runtime

import (
	"maps"
	"testing"
)

func TestNewSpec(t *testing.T) {
	cases := []struct {
		name          string
		env           map[string]string
		wantNamespace string
		wantAction    string
	}{
		{"hello", map[string]string{}, "default", "hello"},
		{"hello", map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/hi"}, "guest", "hi"},
		{"hello", map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/other/pkg/hi"}, "guest", "pkg/hi"},
		{"", map[string]string{}, "default", "action"},
		{"", map[string]string{"__OW_ACTION_NAME": "/guest"}, "default", "action"},
	}
	for _, c := range cases {
		c.env["__OW_API_KEY"], c.env["MINE"] = "secret", "1"
		s := newSpec(c.name, "main", c.env)
		if s.Namespace != c.wantNamespace || s.Action != c.wantAction {
			t.Errorf("%v: got %s, want /%s/%s", c.env, s.FullName(), c.wantNamespace, c.wantAction)
		}
		if !maps.Equal(s.Env, map[string]string{"MINE": "1"}) {
			t.Errorf("env %v", s.Env)
		}
	}
}
