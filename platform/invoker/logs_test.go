package invoker

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// texts returns lines without their times.
func texts(lines []string) (list []string) {
	for _, l := range lines {
		_, text, _ := strings.Cut(l, " ")
		list = append(list, text)
	}
	return list
}

func TestLogsOfRunsAreKeptApart(t *testing.T) {
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	b := newLogBook(outR, errR)
	r := b.begin("1", 1000)
	write := func(w io.Writer, text string) {
		t.Helper()
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	end := func(wantWhole bool, want ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		lines, whole := b.end(ctx, r, time.Minute)
		if whole != wantWhole || !slices.Equal(texts(lines), want) {
			t.Fatalf("%q, %v; want %q, %v", texts(lines), whole, want, wantWhole)
		}
	}
	write(outW, "one\n\ntw")
	write(outW, "o"+guardLine+"\nlate\n")
	write(errW, guardLine+"\n")
	end(true, "stdout: one", "stdout: ", "stdout: two")
	write(outW, "between\n")
	write(outW, guardLine[:5]) // is read only after the line before was handled
	r = b.begin("2", 1000)
	write(errW, "mine\n"+guardLine+"\n")
	write(outW, guardLine[5:]+"\n")
	end(true, "stderr: mine")
	r = b.begin("2", 1000)
	write(outW, "last words")
	outW.Close()
	errW.Close()
	end(false, "stdout: last words")
	b.close(time.Second)
}

func TestBookOfADeadContainerDoesNotWait(t *testing.T) {
	b := newLogBook(io.NopCloser(strings.NewReader("")), io.NopCloser(strings.NewReader("")))
	b.close(time.Second)
	if lines, whole := b.end(t.Context(), b.begin("1", 10), time.Minute); whole || len(lines) != 0 {
		t.Fatalf("%v, %v", lines, whole)
	}
}

// Lines without text have a time all the same: many of them are as much as few
// long ones, in memory and in the record.
func TestAlwaysTrue7ShortLinesCountAgainstTheLimit(t *testing.T) {
	const limit, guards = 10_000, guardLine + "\n"
	for name, out := range map[string]string{
		"empty lines": strings.Repeat("\n", 100_000), "one byte each": strings.Repeat("x\n", 100_000),
		"a long one": strings.Repeat("x", 100_000) + "\n", "cut in a character": strings.Repeat("€", 100_000) + "\n",
	} {
		outR, outW := io.Pipe()
		errR, errW := io.Pipe()
		b := newLogBook(outR, errR)
		r := b.begin("1", limit)
		io.WriteString(outW, out+guards)
		io.WriteString(errW, guards)
		lines, _ := b.end(t.Context(), r, time.Minute)
		outW.Close()
		errW.Close()
		b.close(time.Second)
		total := 0
		for _, l := range lines[:len(lines)-1] {
			total += len(l) + 1
		}
		if total > limit || total < limit-50 {
			t.Errorf("%s: %d bytes were kept of a limit of %d", name, total, limit)
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "Logs were truncated") {
			t.Errorf("%s: the last line is %q", name, last)
		}
	}
}

func TestNoLogsAreKeptWithALimitOfZero(t *testing.T) {
	text := "x\n" + guardLine + "\n"
	b := newLogBook(io.NopCloser(strings.NewReader(text)), io.NopCloser(strings.NewReader(text)))
	if lines, _ := b.end(t.Context(), b.begin("1", 0), time.Minute); len(lines) != 0 {
		t.Errorf("kept: %q", lines)
	}
	b.close(time.Second)
}

// A bookOfPipes is a log book that reads what a test writes.
type bookOfPipes struct {
	*logBook
	t   *testing.T
	out [2]*io.PipeWriter
}

func newBookOfPipes(t *testing.T) *bookOfPipes {
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	b := &bookOfPipes{newLogBook(outR, errR), t, [2]*io.PipeWriter{outW, errW}}
	t.Cleanup(func() { b.close(0) })
	return b
}

// write returns when all of it was handled: the second write, of nothing, waits for the next read.
func (b *bookOfPipes) write(stream int, text string) {
	for _, s := range []string{text, ""} {
		if _, err := io.WriteString(b.out[stream], s); err != nil {
			b.t.Errorf("writing to a stream: %v", err)
		}
	}
}

// want ends a run.
func (b *bookOfPipes) want(r *runLog, want ...string) {
	b.t.Helper()
	lines, whole := b.end(b.t.Context(), r, time.Minute)
	if !whole || !slices.Equal(texts(lines), want) {
		b.t.Errorf("run %s: %q, %v; want %q", r.id, texts(lines), whole, want)
	}
}

func TestAlwaysTrue3LogsOfOverlappingRunsAreTold(t *testing.T) {
	b := newBookOfPipes(t)
	b.write(0, "loading\n")
	one := b.begin("run1", 1000)
	b.knowsRuns()
	two := b.begin("run2", 1000)
	b.write(0, "run1 a\nrun2 b\nrun1+long \nrun2 c\nrun1 line\nrun3 x\nrun\npanic: nobody's\nrun2 run1 d\nrun1 "+guardLine+"\nrun1 late\n")
	b.write(1, "run2 e\nrun2 "+guardLine+"\nrun1 "+guardLine+"\n")
	b.want(one, "stdout: loading", "stdout: a", "stdout: long line")
	b.write(0, "run2 f\nrun2 "+guardLine+"\n")
	b.want(two, "stdout: b", "stdout: c", "stdout: run1 d", "stderr: e", "stdout: f")
}

// A runtime that does not say whose its lines are: nobody sees another run's.
func TestAlwaysTrue3LinesThatCouldBeAnothersAreLeftOut(t *testing.T) {
	b := newBookOfPipes(t)
	one := b.begin("run1", 1000)
	b.write(0, "one's\n")
	two := b.begin("run2", 1000)
	b.write(0, "whose?\n"+guardLine+"\n")
	b.write(1, guardLine+"\n")
	left := "stderr: 1 lines are left out that were printed while several runs overlapped in one container: its runtime does not say whose they are."
	b.want(two, left)
	b.write(0, "one's again\n"+guardLine+"\n")
	b.write(1, guardLine+"\n")
	b.want(one, "stdout: one's", "stdout: one's again", left)
}

// Who waits for a guard line waits as long as something comes, but not for ever.
func TestSlowLogsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBookOfPipes(t)
		r := b.begin("run1", 1000)
		go func() {
			for range 5 {
				time.Sleep(time.Second)
				b.write(0, "slow\n")
			}
			b.write(0, guardLine+"\n")
			b.write(1, guardLine+"\n")
		}()
		lines, whole := b.end(t.Context(), r, 1500*time.Millisecond)
		if len(lines) != 5 || !whole {
			t.Errorf("%q, %v", lines, whole)
		}
		begun := time.Now()
		r = b.begin("run2", 1000)
		if _, whole := b.end(t.Context(), r, time.Second); whole || time.Since(begun) != time.Second {
			t.Errorf("without guards: %v after %v", whole, time.Since(begun))
		}
		begun = time.Now()
		r = b.begin("run3", 1000)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Millisecond):
					b.write(0, "chatter\n")
				}
			}
		}()
		if _, whole := b.end(t.Context(), r, time.Second); whole || time.Since(begun) != 10*time.Second {
			t.Errorf("chatter without guards: %v after %v", whole, time.Since(begun))
		}
		close(stop)
		synctest.Wait()
		b.close(0)
	})
}
