package worker

import (
	"bytes"

	"github.com/whiskaway/whiskaway/function"
)

// maxIdle bounds what is kept of output between runs, in bytes: the last ones.
const maxIdle = 64 << 10

// idleLogs is what the process printed while nothing ran: during its start, or
// from a thread between two runs.
type idleLogs struct {
	chunks []chunk
	size   int
	lost   bool
}

func (l *idleLogs) add(stream function.Stream, p []byte) {
	l.chunks = append(l.chunks, chunk{stream, bytes.Clone(p)})
	l.size += len(p)
	for l.size > maxIdle {
		l.lost = true
		over := l.size - maxIdle
		first := &l.chunks[0]
		if over < len(first.data) {
			first.data = first.data[over:]
			l.size -= over
			return
		}
		l.size -= len(first.data)
		l.chunks = l.chunks[1:]
	}
}

// take returns all in order, and forgets it.
func (l *idleLogs) take() []chunk {
	chunks := l.chunks
	if l.lost {
		note := chunk{function.Stderr, []byte("whiskaway: earlier output is left out\n")}
		chunks = append([]chunk{note}, chunks...)
	}
	*l = idleLogs{}
	return chunks
}

func (l *idleLogs) texts() [][]byte {
	var texts [][]byte
	for _, c := range l.take() {
		texts = append(texts, c.data)
	}
	return texts
}
