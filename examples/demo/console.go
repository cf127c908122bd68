package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// width is how many columns our text may take, the indent left out.
const width = 76

// quietBetween is how long a wait is silent where the output is no terminal.
const quietBetween = 15 * time.Second

// A console is where the newcomer reads. Only one goroutine prints at a time:
// who waits with wait prints nothing until the wait is over.
type console struct {
	w        io.Writer
	terminal bool
}

func newConsole(f *os.File) *console {
	info, err := f.Stat()
	return &console{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// title begins a new part of the story.
func (c *console) title(text string) { fmt.Fprintf(c.w, "\n%s\n", text) }

// line prints a line flush left.
func (c *console) line(format string, args ...any) { fmt.Fprintf(c.w, format+"\n", args...) }

// in prints text indented, each of its lines by itself.
func (c *console) in(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(c.w, strings.TrimRight("  "+line, " "))
	}
}

// wait shows that what goes on, and for how long, until done is called.
func (c *console) wait(what string) (done func()) {
	stop := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() { c.tick(what, stop) })
	return func() { close(stop); g.Wait() }
}

func (c *console) tick(what string, stop <-chan struct{}) {
	start, every, before, after := time.Now(), quietBetween, "", "\n"
	if c.terminal {
		every, before, after = time.Second, "\r", ""
		defer fmt.Fprint(c.w, "\r\x1b[K")
		fmt.Fprintf(c.w, "  %s ...", what)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			fmt.Fprintf(c.w, "%s  %s ... %.0f s%s", before, what, time.Since(start).Seconds(), after)
		}
	}
}

// wrap breaks text between words into lines of at most columns.
func wrap(text string, columns int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		used := 0
		for i, word := range strings.Fields(line) {
			n := len([]rune(word))
			switch {
			case i == 0:
			case used+1+n > columns:
				b.WriteByte('\n')
				used = 0
			default:
				b.WriteByte(' ')
				used++
			}
			b.WriteString(word)
			used += n
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}
