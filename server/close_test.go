package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
)

func TestAlwaysTrue4CloseLeavesNothing(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	h := open(t)
	id, _, ended := busy(t, h)
	h.init(python(env("A", "b")))
	watching := make(chan error, 1)
	go func() { watching <- h.Watch(t.Context(), func(function.Status) error { return nil }) }()
	closed := make(chan error, 1)
	ctx, hurry := context.WithCancel(t.Context())
	go func() { closed <- h.Close(ctx) }()
	eventually(t, "draining", func() bool {
		_, _, err := h.try(t.Context(), id, `{}`, patience)
		return function.CodeOf(err) == function.CodeDraining
	})
	_, err := h.Init(t.Context(), python(env("A", "c")), function.Lease{ID: "x"})
	if code := function.CodeOf(err); code != function.CodeDraining {
		t.Errorf("Init: %v", err)
	}
	select {
	case err := <-closed:
		t.Errorf("closed during a run: %v", err)
	default:
	}
	hurry()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wantCode(t, <-watching, function.CodeDraining)
	if err := <-ended; err != nil {
		t.Errorf("the run that was ended: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(h.dir, "functions", "*")); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
	eventually(t, "no process is left", func() bool { return !anyProcessNames(t, h.dir) })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// anyProcessNames reports whether some process has dir in its command line or environment.
func anyProcessNames(t *testing.T, dir string) bool {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, path := range []string{file, filepath.Join(filepath.Dir(file), "cmdline")} {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), dir) {
				return true
			}
		}
	}
	return false
}

func TestARunInFlightMayEndWhileTheServerCloses(t *testing.T) {
	h := open(t)
	_, gate, ended := busy(t, h)
	closed := make(chan error, 1)
	go func() { closed <- h.Close(context.Background()) }()
	h.status("draining", func(s function.Status) bool { return s.Servers[0].Draining })
	touch(t, gate)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestRestartKeepsTheCodeAndTheIDAndSweepsTheRest(t *testing.T) {
	dir := t.TempDir()
	in := func(c *server.Config) { c.Dir = dir }
	h := open(t, in)
	id := h.ID()
	h.run(h.init(python(nil)), `{}`)
	if _, err := server.Open(t.Context(), config(t, dir)); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("a second server on the same directory: %v", err)
	}
	h.close()
	left := filepath.Join(dir, "functions", "killed-1", "code")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	h = open(t, in)
	if h.ID() != id {
		t.Errorf("the ID was %s, now it is %s", id, h.ID())
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what an earlier server left is still there: %v", err)
	}
	_, err := h.Run(t.Context(), python(nil).ID(), function.Claim{Lease: "old"}, activation(`{}`, time.Second), nil)
	wantCode(t, err, function.CodeUnknownFunction)
	if _, err := h.Init(t.Context(), python(nil), function.Lease{ID: "new"}); err != nil {
		t.Errorf("the code was there: %v", err)
	}
}
