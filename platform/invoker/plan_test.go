package invoker

import (
	"reflect"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	now := time.Unix(1000, 0)
	a, b := key{action: "/g/a"}, key{action: "/g/b"}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	idle := func(k key, d time.Duration) spare { return spare{key: k, memory: 256, since: ago(d)} }
	wants := func(k key, d time.Duration) want { return want{key: k, memory: 256, since: ago(d)} }
	none := grant{want: -1, reuse: -1}
	for name, c := range map[string]struct {
		wants  []want
		spares []spare
		free   int
		expect grant
	}{
		"nobody waits":                       {nil, []spare{idle(a, 0)}, 256, none},
		"warm before cold":                   {[]want{wants(a, 0)}, []spare{idle(a, 9), idle(a, 1)}, 999, grant{want: 0, reuse: 1}},
		"a fresh one where that is asked":    {[]want{{key: a, memory: 256, fresh: true, since: now}}, []spare{idle(a, 0)}, 256, grant{want: 0, reuse: -1}},
		"free memory":                        {[]want{wants(b, 0)}, []spare{idle(a, 0)}, 256, grant{want: 0, reuse: -1}},
		"the longest idle goes":              {[]want{wants(b, 0)}, []spare{idle(a, 1), idle(a, 5)}, 0, grant{want: 0, reuse: -1, evict: []int{1}}},
		"as many go as are needed":           {[]want{{key: b, memory: 512, since: now}}, []spare{idle(a, 1), idle(a, 5)}, 100, grant{want: 0, reuse: -1, evict: []int{1, 0}}},
		"nothing can be done":                {[]want{wants(b, 0)}, nil, 255, none},
		"who is warm goes first":             {[]want{wants(b, patience/2), wants(a, 0)}, []spare{idle(a, 1)}, 0, grant{want: 1, reuse: 0}},
		"but not for ever":                   {[]want{wants(b, patience), wants(a, 0)}, []spare{idle(a, 1)}, 0, grant{want: 0, reuse: -1, evict: []int{0}}},
		"who waited long is not passed over": {[]want{{key: b, memory: 512, since: ago(patience)}, wants(a, 0)}, []spare{idle(a, 1)}, 0, none},
	} {
		if got := plan(c.wants, c.spares, c.free, now); !reflect.DeepEqual(got, c.expect) {
			t.Errorf("%s: %+v, want %+v", name, got, c.expect)
		}
	}
}
