//go:build unix

package invoker

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func driver(t *testing.T, script string) *Process {
	t.Helper()
	d, err := NewProcess(ProcessConfig{Command: []string{"/bin/sh", "-c", script}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStartSaysWhatWentWrong(t *testing.T) {
	for script, want := range map[string]string{
		"echo 'no such thing' >&2; exit 1":    "it ended before it said where it listens; it said: no such thing",
		`echo nonsense >&4; exec sleep 1000`:  `it said that it listens on "nonsense", which is no address`,
		`exec 4>&-; trap '' TERM; sleep 1000`: "it ended before it said where it listens",
	} {
		_, err := driver(t, script).Start(t.Context(), Spec{Kind: "python:3"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	if _, err := NewProcess(ProcessConfig{Command: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that does not exist was accepted")
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := driver(t, "exec sleep 1000").Start(ctx, Spec{})
	if err == nil || !strings.Contains(err.Error(), "did not say in time") {
		t.Errorf("error: %v", err)
	}
}

func TestKillReachesTheGroup(t *testing.T) {
	c, err := driver(t, `trap '' TERM; (trap '' TERM; sleep 1000) & echo 127.0.0.1:1 >&4; wait`).Start(t.Context(), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := c.Logs()
	b := newLogBook(stdout, stderr)
	if err := c.(*process).kill(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	r := b.begin("1", 10)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b.end(ctx, r, time.Minute) // both streams end only when the grandchild is gone, too
	if ctx.Err() != nil {
		t.Error("a grandchild is left")
	}
	b.close(0)
}

// A runtime is told its memory once, and not at all where runs overlap.
func TestRuntimesAreToldTheirMemory(t *testing.T) {
	d := driver(t, "")
	for concurrent, want := range map[string]int{"": 1, "true": 0} {
		env := strings.Join(d.environment(Spec{Memory: 128, Env: map[string]string{allowConcurrent: concurrent}}), "\n")
		if got := strings.Count(env, "WHISKAWAY_MEMORY="); got != want {
			t.Errorf("concurrent %q: %d times, want %d:\n%s", concurrent, got, want, env)
		}
	}
}

// An action that was made where there were containers says what it needs.
func TestProcessesHaveNoImages(t *testing.T) {
	d, err := NewProcess(ProcessConfig{Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), Spec{Kind: "blackbox", Image: "a/b"}); err == nil || !strings.Contains(err.Error(), "--driver docker") {
		t.Errorf("%v", err)
	}
}
