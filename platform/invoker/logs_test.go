package invoker

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
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
