package conformance

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// A said is one thing to print.
type said struct {
	To    int    `json:"to"`
	Text  string `json:"text,omitempty"`
	Bytes string `json:"bytes,omitempty"` // base64
}

// logs are about what the function prints.
func logs() []testCase {
	says := func(name string, stdout, stderr string, say ...said) testCase {
		return testCase{name: "logs: " + name, on: ready, do: func(t *testing.T, c *container) {
			a := c.run(t, fields{"do": "say", "say": say})
			if a.status != 200 || a.logs != [2]string{stdout, stderr} {
				t.Errorf("the logs are %q, want %q and %q; %v", a.logs, stdout, stderr, a)
			}
		}}
	}
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	const mark = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
	defused := strings.Replace(mark, "_XXX", "_X XX", 1)
	return []testCase{
		says("none", "", "", []said{}...),
		says("both streams, apart and in order", "one\nthree\n", "two\nfour\n", said{1, "one\n", ""}, said{2, "two\n", ""}, said{1, "three\n", ""}, said{2, "four\n", ""}),
		says("a last line without end", "one\ntwo\n", "err\n", said{1, "one\n", ""}, said{1, "two", ""}, said{2, "err", ""}),
		says("empty lines", "\n\n", "\n", said{1, "\n\n", ""}, said{2, "\n", ""}),
		says("unicode", "ü€😀\n", "日本\n", said{1, "ü€😀\n", ""}, said{2, "日本\n", ""}),
		says("every byte", string(every)+"\n", "", said{1, "", base64.StdEncoding.EncodeToString(every)}),
		says("lines that look like guards", defused+"\nmore\n", "a "+defused+" b\n", said{1, mark + "\nmore\n", ""}, said{2, "a " + mark + " b\n", ""}),
		{name: "logs: 5 MB", on: ready, do: flood},
		{name: "logs: above the limit", on: ready, do: tooManyLogs},
		{name: "logs: of a process that the function starts", on: ready, do: func(t *testing.T, c *container) {
			a := c.run(t, `{"do":"child"}`)
			if a.logs != [2]string{"before\nchild\nafter\n", "child error\n"} {
				t.Errorf("the logs are %q", a.logs)
			}
		}},
		{name: "logs: of a thread after the run", on: ready, do: late},
	}
}

func flood(t *testing.T, c *container) {
	const lines = 50_000 // of 100 bytes
	a := c.run(t, fields{"do": "flood", "lines": lines})
	if want := floodOf(lines); a.status != 200 || a.logs[0] != want || a.logs[1] != "" {
		t.Errorf("%v, with %d bytes of logs instead of %d, and %.200q", a, len(a.logs[0]), len(want), a.logs[1])
	}
}

// floodOf is what the function prints.
func floodOf(lines int) string {
	var all strings.Builder
	filler := strings.Repeat("x", 92) + "\n"
	for i := range lines {
		fmt.Fprintf(&all, "%07d%s", i, filler)
	}
	return all.String()
}

// tooManyLogs: what is above the limit is dropped, and that is said.
func tooManyLogs(t *testing.T, c *container) {
	const lines = 110_000
	a := c.run(t, fields{"do": "flood", "lines": lines})
	if a.status != 200 || !strings.HasPrefix(floodOf(lines), strings.TrimSuffix(a.logs[0], "\n")) || len(a.logs[0]) < 10<<20 {
		t.Errorf("%v, with %d bytes of logs", a, len(a.logs[0]))
	}
	if strings.Count(a.logs[1], "\n") != 1 || !strings.Contains(a.logs[1], "limit") {
		t.Errorf("stderr holds %.500q", a.logs[1])
	}
}

// late: what a thread prints when its run has ended is not among that run's
// logs, whose guard is written. It begins those of the next run, as with every
// runtime of OpenWhisk.
func late(t *testing.T, c *container) {
	file := filepath.Join(c.m.share, c.action()+".late")
	if a := c.run(t, fields{"do": "late", "file": file}); a.status != 200 || a.logged() != "" {
		t.Fatalf("%v %q", a, a.logs)
	}
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the thread has printed", func() bool { _, err := os.Stat(file); return err != nil })
	for i, want := range []string{"late\n", ""} {
		if a := c.run(t, `{"do":"echo"}`); a.logs != [2]string{want, ""} {
			t.Errorf("run %d after it logged %q", i+1, a.logs)
		}
	}
}
