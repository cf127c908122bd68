package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// encodingZstd is the one compression that code may come in. Measured against the fastest
// gzip, it takes half the time, makes text and programs smaller, and is unpacked five times
// as fast; docs/performance.md has the figures.
const encodingZstd = "zstd"

const (
	// packWindow is how far back the compressor looks, in bytes. A larger one
	// saves a hundredth of the size, and costs its memory twice.
	packWindow = 256 << 10
	// sampleSize of the code's first bytes tell whether compression helps.
	sampleSize = 128 << 10
	// minPacked is the smallest code that is compressed, in bytes: below, it
	// fits into a few packets either way.
	minPacked = 4 << 10
)

// takesZstd reports whether an answer says that its host takes compressed code.
func takesZstd(h http.Header) bool {
	for _, values := range h["Accept-Encoding"] {
		names := strings.FieldsFunc(values, func(r rune) bool { return r == ',' || r == ' ' })
		if slices.Contains(names, encodingZstd) {
			return true
		}
	}
	return false
}

// A rereadable can be read from the beginning as often as needed.
type rereadable struct {
	from        io.ReaderAt
	begin, size int64
}

// rereadableOf returns what is left of code, if that can be read again: a file's, or that of
// bytes in memory.
func rereadableOf(code io.Reader) (r rereadable, ok bool) {
	at, ok := code.(interface {
		io.ReaderAt
		io.Seeker
	})
	if !ok {
		return rereadable{}, false
	}
	begin, err := at.Seek(0, io.SeekCurrent)
	if err != nil {
		return rereadable{}, false // a pipe
	}
	end, err := at.Seek(0, io.SeekEnd)
	if err != nil {
		return rereadable{}, false
	}
	return rereadable{at, begin, end - begin}, true
}

// open returns a new reader of all of it.
func (r rereadable) open() *io.SectionReader { return io.NewSectionReader(r.from, r.begin, r.size) }

// worthPacking reports whether compression makes the beginning of code smaller by a
// tenth at least. Archives that are compressed already do not get smaller.
func worthPacking(code rereadable) (bool, error) {
	if code.size < minPacked {
		return false, nil
	}
	sample := min(code.size, sampleSize)
	n, err := io.Copy(io.Discard, newPacker(io.LimitReader(code.open(), sample)))
	if err != nil {
		return false, fmt.Errorf("compressing the code: %w", err)
	}
	return n <= sample*9/10, nil
}

// A packer reads from another reader, and gives its bytes compressed. It has
// no goroutine, and holds less than 2 MB.
type packer struct {
	from    io.Reader
	encoder *zstd.Encoder
	piece   []byte       // for reading
	out     bytes.Buffer // compressed, and not read yet
	err     error        // what from ended with
}

func newPacker(from io.Reader) *packer {
	p := &packer{from: from, piece: make([]byte, 32<<10)}
	p.encoder, p.err = zstd.NewWriter(&p.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(packWindow),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false)) // the digest is checked anyway
	return p
}

func (p *packer) Read(b []byte) (int, error) {
	for p.out.Len() == 0 && p.err == nil {
		p.err = p.pack()
	}
	if p.out.Len() > 0 {
		return p.out.Read(b)
	}
	return 0, p.err
}

// pack compresses one more piece.
func (p *packer) pack() error {
	n, err := p.from.Read(p.piece)
	if _, err := p.encoder.Write(p.piece[:n]); err != nil {
		return err
	}
	if err != io.EOF {
		return err
	}
	if err := p.encoder.Close(); err != nil {
		return err
	}
	return io.EOF
}
