package runtime

import (
	"bytes"
	"net/http"
)

// The headers by which a platform asks that each log line says whose it is, so that it can tell
// the logs of runs apart that overlap. See answers.md, "Logs".
const (
	headerLogs = "Whiskaway-Logs" // of /init and its answer
	logsByRun  = "by-run"
	headerRun  = "Whiskaway-Run" // of /run: what the run's lines begin with
)

// agreeOnLogs answers a platform that asked for tagged lines, at an /init that succeeded.
func (r *Runtime) agreeOnLogs(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get(headerLogs) == logsByRun {
		r.tagged.Store(true)
		w.Header()[headerLogs] = []string{logsByRun}
	}
}

// maxTag is the longest tag in bytes; an activation's id has 32.
const maxTag = 64

// tagOf returns what the lines of a run shall begin with; empty: nothing.
func (r *Runtime) tagOf(req *http.Request) string {
	if !r.tagged.Load() {
		return ""
	}
	tag := req.Header.Get(headerRun)
	if len(tag) > maxTag {
		return ""
	}
	for _, c := range []byte(tag) {
		if c <= ' ' || c >= 0x7f {
			return ""
		}
	}
	return tag
}

// What stands behind the tag: the rest is a line, or the beginning or middle of one that is
// too long to wait for.
const (
	tagLine = ' '
	tagPart = '+'
)

// maxPart is how much of a line is kept until its end comes, in bytes.
const maxPart = 8 << 10

// writeTagged takes logs of a run whose lines are tagged. The caller holds mu.
func (l *runLogs) writeTagged(i int, p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece := p
		if end >= 0 {
			piece = p[:end]
		}
		if room := maxPart - len(l.part[i]); len(piece) > room {
			l.tagOne(i, tagPart, piece[:room])
			p = p[room:]
			continue
		}
		if end < 0 {
			l.part[i] = append(l.part[i], piece...)
			break
		}
		l.tagOne(i, tagLine, piece)
		p = p[end+1:]
	}
	if len(l.pending[i]) > 0 {
		l.arm()
	}
}

// tagOne writes a line, or a part of one, behind what was kept of it.
func (l *runLogs) tagOne(i int, mark byte, text []byte) {
	b := append(l.pending[i], l.tag...)
	b = append(b, mark)
	b = append(b, l.part[i]...)
	b = append(b, text...)
	l.pending[i], l.part[i] = append(b, '\n'), l.part[i][:0]
	if len(l.pending[i]) > flushSize {
		l.flushOne(i)
	}
}

// finishTagged adds a last line without its end, and the guard.
func (l *runLogs) finishTagged(i int) {
	if len(l.part[i]) > 0 {
		l.tagOne(i, tagLine, nil)
	}
	l.tagOne(i, tagLine, []byte(guardWord))
}
