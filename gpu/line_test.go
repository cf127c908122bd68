package gpu

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestALineWhoseDriverHangs(t *testing.T) {
	l := newLine(50 * time.Millisecond)
	release := make(chan struct{})
	hang := func(context.Context) (int, error) { <-release; return 1, nil }
	answer := func(context.Context) (int, error) { return 2, nil }
	if _, err := call(t.Context(), l, hang); err == nil || !strings.Contains(err.Error(), "has not answered for 50ms") {
		t.Errorf("a call that hangs: got %v", err)
	}
	if _, err := call(t.Context(), l, answer); err == nil || !strings.Contains(err.Error(), "busy with an earlier question") {
		t.Errorf("a call after it: got %v", err)
	}
	if err := l.close(); err == nil {
		t.Error("closed although a call is under way")
	}
	close(release)
	eventually(t, "the line carries calls again", func() bool {
		n, err := call(t.Context(), l, answer)
		return n == 2 && err == nil
	})
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if _, err := call(t.Context(), l, answer); err == nil {
		t.Error("a closed line carries a call")
	}
}

func TestALineCarriesOneCallAtATime(t *testing.T) {
	l := newLine(patience)
	busy := 0 // no lock: the race detector would tell
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := call(t.Context(), l, func(context.Context) (int, error) { busy++; return busy, nil })
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := l.close(); err != nil || busy != 20 {
		t.Errorf("%d calls, %v", busy, err)
	}
}
