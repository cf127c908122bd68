package wire

import (
	"bufio"
	"encoding/hex"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A gear is what one run needs to write its request and to read its answer:
// buffers that are used again.
type gear struct {
	first []byte        // the request, or the first part of it where it is large
	limit [2]int        // where in first the time limit's digits begin and end; equal: there is none
	rest  io.Reader     // the rest of the body; nil: there is none
	left  int64         // how long that is, in bytes
	in    *bufio.Reader // from the lane
	body  replyBody
	src   source
}

// keepFrame is the largest frame whose buffer is worth keeping.
const keepFrame = 256 << 10

// A gearPool reuses gears.
type gearPool struct{ free sync.Pool }

func (p *gearPool) get() *gear {
	if g, ok := p.free.Get().(*gear); ok {
		return g
	}
	g := &gear{first: make([]byte, 0, bufferSize), in: bufio.NewReaderSize(nil, bufferSize)}
	g.src.frames = function.NewFrameReader(&g.body)
	return g
}

func (p *gearPool) put(g *gear) {
	if g.src.largest > keepFrame || cap(g.first) > 4*bufferSize {
		return
	}
	g.in.Reset(nil)
	g.body, g.rest = replyBody{}, nil
	p.free.Put(g)
}

// A source reads frames, and knows how large they were.
type source struct {
	frames  *function.FrameReader
	largest int
}

// next returns the next frame; see function.FrameReader.
func (s *source) next() (function.Stream, []byte, error) {
	stream, p, err := s.frames.Next()
	s.largest = max(s.largest, len(p))
	return stream, p, err
}

// compose makes the request for a run. head is what all of them begin with.
// Nothing has left yet when it fails.
func (g *gear) compose(head []byte, id function.ID, by function.Claim, act *function.Activation) error {
	b := append(g.first[:0], head...)
	b = append(b, headerFunction+": "...)
	b = hex.AppendEncode(b, id[:])
	var err error
	b = appendHeader(b, "\r\n"+headerLease+": ", by.Lease, &err)
	if by.Namespace != "" {
		b = appendHeader(b, "\r\n"+headerNamespace+": ", by.Namespace, &err)
	}
	g.limit = [2]int{}
	if act.Timeout > 0 {
		b = append(b, "\r\n"+headerTimeout+": "...)
		g.limit[0] = len(b)
		b = strconv.AppendInt(b, roundUp(act.Timeout), 10)
		g.limit[1] = len(b)
	}
	if act.Trace != "" {
		b = appendHeader(b, "\r\n"+headerTrace+": ", act.Trace, &err)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, act.Body.Len(), 10)
	b = append(b, "\r\n\r\n"...)
	if err != nil {
		return err
	}
	return g.load(b, act.Body)
}

// shorten changes the time limit to what is left of it.
func (g *gear) shorten(left time.Duration) {
	digits := g.first[g.limit[0]:g.limit[1]]
	for i, n := len(digits)-1, roundUp(left); i >= 0; i, n = i-1, n/10 {
		digits[i] = byte('0' + n%10)
	}
}

// load puts as much of the body as fits behind the head b.
func (g *gear) load(b []byte, body function.Body) error {
	size := body.Len()
	g.rest, g.left = nil, 0
	g.first = b
	if size == 0 {
		return nil
	}
	here := min(size, int64(max(bufferSize-len(b), 0)))
	if here == size {
		data, err := body.Bytes()
		if err != nil {
			return function.Errorf(function.CodeInternal, "%v", err)
		}
		g.first = append(b, data...)
		return nil
	}
	g.rest, g.left = body.Open(), size-here
	g.first = append(b, make([]byte, here)...)
	if _, err := io.ReadFull(g.rest, g.first[len(b):]); err != nil {
		return function.Errorf(function.CodeInternal, "reading a body back: %v", err)
	}
	return nil
}

// appendHeader appends a value that comes from elsewhere. It sets err when the
// value could end the header.
func appendHeader(b []byte, name, value string, err *error) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			*err = function.Errorf(function.CodeBadRequest, "%q cannot be sent in a header", value)
		}
	}
	return append(append(b, name...), value...)
}
