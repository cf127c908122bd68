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
	chunks []idleChunk
	size   int
	lost   bool
}

type idleChunk struct {
	stream function.Stream
	text   []byte
}

func (l *idleLogs) add(stream function.Stream, p []byte) {
	l.chunks = append(l.chunks, idleChunk{stream, bytes.Clone(p)})
	l.size += len(p)
	for l.size > maxIdle {
		l.lost = true
		over := l.size - maxIdle
		first := &l.chunks[0]
		if over < len(first.text) {
			first.text = first.text[over:]
			l.size -= over
			return
		}
		l.size -= len(first.text)
		l.chunks = l.chunks[1:]
	}
}

// take returns all in order, and forgets it.
func (l *idleLogs) take() []idleChunk {
	chunks := l.chunks
	if l.lost {
		note := idleChunk{function.Stderr, []byte("whiskaway: earlier output is left out\n")}
		chunks = append([]idleChunk{note}, chunks...)
	}
	*l = idleLogs{}
	return chunks
}

func (l *idleLogs) texts() [][]byte {
	var texts [][]byte
	for _, c := range l.take() {
		texts = append(texts, c.text)
	}
	return texts
}
