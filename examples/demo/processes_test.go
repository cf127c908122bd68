package main

import (
	"reflect"
	"testing"
)

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"whiskaway\x00--data\x00/x/.demo/server\x00":  true,
		"HOME=/root\x00PWD=/x/.demo\x00":              true,
		"--data=/x/.demo":                             true,
		"/x/.demo2/server":                            false,
		"/home/x/.demo/server":                        false,
		"/home/x/.demo/server and also /x/.demo/logs": true,
		"": false,
	} {
		if got := mentions([]byte(text), "/x/.demo"); got != want {
			t.Errorf("mentions(%q) = %v", text, got)
		}
	}
}

func TestOfEarlierDemo(t *testing.T) {
	all := []process{
		{1, "a", "/x/bin/whiskaway standalone --listen 127.0.0.1:0 --data /x/.demo/platform"},
		{2, "a", "/x/bin/whiskaway server --data /x/.demo/server --label llm"},
		{3, "a", "/x/bin/whiskaway server --data /x/.demo/server-of-mine"},
		{4, "a", "tail -f /x/.demo/server.log"},
		{5, "a", "python3 /x/.demo/server/functions/1/main.py"},
	}
	var pids []int
	for _, p := range ofEarlierDemo(all, "/x/.demo") {
		pids = append(pids, p.pid)
	}
	if !reflect.DeepEqual(pids, []int{1, 2}) {
		t.Errorf("%v", pids)
	}
}

func TestWithout(t *testing.T) {
	before := []process{{7, "monday", "make demo"}, {8, "monday", "vim"}}
	now := []process{{7, "monday", "make demo"}, {8, "tuesday", "python"}, {9, "tuesday", "node"}}
	got := without(now, before)
	if len(got) != 2 || got[0].pid != 8 || got[1].pid != 9 {
		t.Errorf("%v: a number that is used again is another process", got)
	}
}
