package runtime

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// untagged puts together what was tagged, as a platform does, without the guard.
func untagged(t *testing.T, text, tag string) (lines string) {
	t.Helper()
	rest, ended := strings.CutSuffix(text, tag+" "+guard)
	if !ended {
		t.Fatalf("no guard: %q", text)
	}
	for line := range strings.Lines(rest) {
		after, ok := strings.CutPrefix(line, tag)
		if !ok {
			t.Fatalf("a line without its tag: %q", line)
		}
		if part, goesOn := strings.CutPrefix(after, string(tagPart)); goesOn {
			lines += strings.TrimSuffix(part, "\n")
		} else {
			lines += strings.TrimPrefix(after, string(tagLine))
		}
	}
	return lines
}

// Whatever pieces come, each line begins with the tag and is whole.
func TestTaggedLinesAreWhole(t *testing.T) {
	const tag = "0123456789abcdef0123456789abcdef"
	for _, text := range []string{
		"one\n\ntwo\n", "no end", strings.Repeat("x", 3*maxPart+5) + "\nshort\n", strings.Repeat("y", maxPart), "\n",
		strings.Repeat("a line\n", 2*flushSize/7),
	} {
		for _, size := range []int{1, 7, maxPart - 1, maxPart, 1 << 20} {
			var out, err bytes.Buffer
			l := runLogs{streams: [2]*logStream{newLogStream(&out), newLogStream(&err)}, tag: tag}
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				l.write(stdout, []byte(rest[:n]))
				rest = rest[n:]
			}
			l.finish()
			want := strings.TrimSuffix(text, "\n") + "\n"
			if got := untagged(t, out.String(), tag); got != want {
				t.Errorf("%.20q… in pieces of %d became %.60q…", text, size, got)
			}
			if err.String() != tag+" "+guard {
				t.Errorf("stderr holds %q", err.String())
			}
		}
	}
}

// tell posts with a header.
func (g *rig) tell(path, body, name, value string) http.Header {
	g.t.Helper()
	req, err := http.NewRequest("POST", g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set(name, value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		g.t.Errorf("%s: status %d", path, resp.StatusCode)
	}
	return resp.Header
}

func TestLogsSayWhoseTheyAreWhereThePlatformAsks(t *testing.T) {
	g := newRig(t, func(c *Config) { c.AllowConcurrent = true })
	g.host.onRun = func(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("hello\nyou"))
		return echo(ctx, act, out)
	}
	if h := g.tell("/init", goodInit, headerLogs, logsByRun); h.Get(headerLogs) != logsByRun {
		t.Fatalf("/init answered with %v", h)
	}
	for tag, out := range map[string]string{
		"r1":                          "r1 hello\nr1 you\nr1 " + guard,
		"":                            "hello\nyou\n" + guard,
		"two words":                   "hello\nyou\n" + guard,
		strings.Repeat("x", maxTag+1): "hello\nyou\n" + guard,
	} {
		g.tell("/run", `{}`, headerRun, tag)
		err := guard
		if strings.HasPrefix(out, "r1") {
			err = "r1 " + guard
		}
		g.wantLogs(out, err)
	}
}

// Other platforms look for bare guard lines.
func TestLogsHaveNoTagsUnlessAgreed(t *testing.T) {
	g := newRig(t)
	g.host.onRun = func(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
		fmt.Fprint(outputWriter{out}, "hello\n")
		return echo(ctx, act, out)
	}
	g.init()
	g.tell("/run", `{}`, headerRun, "r1")
	g.wantLogs("hello\n"+guard, guard)
}

type outputWriter struct{ out function.Output }

func (w outputWriter) Write(p []byte) (int, error) { return len(p), w.out.Write(function.Stdout, p) }
