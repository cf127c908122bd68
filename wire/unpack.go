package wire

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// maxWindow is how far back compressed code may refer, in bytes: what RFC 9659
	// allows. That much memory an upload may cost; our own clients' costs packWindow.
	maxWindow = 8 << 20
	// maxUnpackers is how many uploads are unpacked at a time. Who comes then is
	// told to send raw bytes, which cost no memory.
	maxUnpackers = 16
	// maxOverhead is how many bytes more than the code itself its compressed form may have.
	maxOverhead = 1 << 20
)

// An unpacker gives the raw bytes of code that comes compressed.
type unpacker struct {
	decoder *zstd.Decoder
	from    io.Reader
	in, out int64
}

// rawCode returns the raw bytes of a request's code. done must be called when they are
// read. It is nil when the encoding is not known, or cannot be unpacked now.
func (h *Handler) rawCode(r *http.Request) (code io.Reader, done func()) {
	encodings := r.Header["Content-Encoding"]
	switch encoding := strings.ToLower(strings.Join(encodings, ",")); encoding {
	case "", "identity":
		return r.Body, func() {}
	case encodingZstd:
		return h.unpack(r.Body)
	}
	return nil, nil
}

func (h *Handler) unpack(body io.Reader) (code io.Reader, done func()) {
	select {
	case h.unpackers <- struct{}{}:
	default:
		return nil, nil
	}
	u := &unpacker{from: body}
	var err error
	u.decoder, err = zstd.NewReader(compressed{u}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		<-h.unpackers
		return nil, nil
	}
	return u, func() {
		u.decoder.Close()
		<-h.unpackers
	}
}

// Read gives raw bytes.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.decoder.Read(p)
	u.out += int64(n)
	var known *function.Error
	if err != nil && err != io.EOF && !errors.As(err, &known) {
		err = function.Errorf(function.CodeBadRequest, "the code cannot be unpacked: %v", err)
	}
	return n, err
}

// compressed is what the decoder reads from. It ends where a sender sends more than the code
// itself would be: else that could go on for ever, as there are bytes that mean nothing.
type compressed struct{ *unpacker }

func (c compressed) Read(p []byte) (int, error) {
	if c.in > c.out+maxOverhead {
		return 0, function.Errorf(function.CodeBadRequest, "the compressed code is larger than the code itself; send it raw")
	}
	n, err := c.from.Read(p)
	c.in += int64(n)
	return n, err
}

// refuseEncoding asks for raw bytes.
func (h *Handler) refuseEncoding(w http.ResponseWriter, r *http.Request) {
	w.Header()["Accept-Encoding"] = h.encodings
	h.refuseStatus(w, r, http.StatusUnsupportedMediaType, "code in the encoding %q cannot be taken now; send it raw", strings.Join(r.Header["Content-Encoding"], ", "))
}
