package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// maxHead bounds the status line and the headers of an answer, in bytes, together
// with the provisional ones before it. One line must fit into the reader's buffer.
const maxHead = 64 << 10

var (
	errOdd      = errors.New("what it answered is not HTTP/1.1 as it should be")
	errHeadSize = errors.New("the headers of its answer are too large")
)

// A reply is the head of an answer to a run. It is read strictly: whoever sends
// something odd is not known to have understood the request.
type reply struct {
	status  int
	length  int64 // of the body; -1: not said
	chunked bool
	last    bool        // the connection ends with this answer
	ancient bool        // HTTP/1.0
	header  http.Header // only where the status is not 200: nobody asks for it then
}

// readReply reads the head of the answer. Provisional ones (1xx) are skipped.
func readReply(in *bufio.Reader) (reply, error) {
	budget := maxHead
	for {
		r, err := readHead(in, &budget)
		if err != nil || r.status >= 200 {
			return r, err
		}
		if r.status == http.StatusSwitchingProtocols {
			return r, errOdd
		}
	}
}

func readHead(in *bufio.Reader, budget *int) (reply, error) {
	line, err := readLine(in, budget)
	if err != nil {
		return reply{}, err
	}
	r, err := parseStatusLine(line)
	for err == nil {
		if line, err = readLine(in, budget); err != nil {
			break
		}
		if len(line) == 0 {
			return r, r.check()
		}
		err = r.add(line)
	}
	return r, err
}

// readLine returns a line without its end. It is valid until the next read.
func readLine(in *bufio.Reader, budget *int) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if *budget -= len(line); *budget < 0 || errors.Is(err, bufio.ErrBufferFull) {
		return nil, errHeadSize
	}
	if err != nil {
		return nil, err
	}
	text, found := bytes.CutSuffix(line, []byte("\r\n"))
	if !found {
		return nil, errOdd
	}
	return text, nil
}

// parseStatusLine reads "HTTP/1.1 200 OK". Who speaks HTTP/1.0 does not keep
// the connection.
func parseStatusLine(line []byte) (reply, error) {
	const begin = "HTTP/1.x 200"
	if len(line) < len(begin) || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return reply{}, errOdd
	}
	status := 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return reply{}, errOdd
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || len(line) > len(begin) && line[12] != ' ' {
		return reply{}, errOdd
	}
	ancient := line[7] == '0'
	r := reply{status: status, length: -1, last: ancient, ancient: ancient}
	if status != http.StatusOK {
		r.header = http.Header{}
	}
	return r, nil
}

// add reads one header.
func (r *reply) add(line []byte) error {
	key, value, found := bytes.Cut(line, []byte(":"))
	if !found || !isToken(key) {
		return errOdd
	}
	value = bytes.Trim(value, " \t")
	if r.header != nil {
		r.header.Add(string(key), string(value))
	}
	switch {
	case isHeader(key, "Content-Length"):
		return r.addLength(value)
	case isHeader(key, "Transfer-Encoding"):
		if r.chunked || !strings.EqualFold(string(value), "chunked") {
			return errOdd
		}
		r.chunked = true
	case isHeader(key, "Connection"):
		for option := range strings.SplitSeq(string(value), ",") {
			r.last = r.last || strings.EqualFold(strings.Trim(option, " \t"), "close")
		}
	}
	return nil
}

func (r *reply) addLength(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil || r.length >= 0 && r.length != int64(n) {
		return errOdd
	}
	r.length = int64(n)
	return nil
}

// check looks at the headers as a whole.
func (r *reply) check() error {
	if r.chunked && (r.length >= 0 || r.ancient) {
		return errOdd
	}
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		r.length, r.chunked = 0, false
	}
	return nil
}

// isHeader compares a header's name with one in canonical form.
func isHeader(key []byte, name string) bool {
	return len(key) == len(name) && (string(key) == name || strings.EqualFold(string(key), name))
}

// isToken reports whether key can be a header's name.
func isToken(key []byte) bool {
	for _, c := range key {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0:
		default:
			return false
		}
	}
	return len(key) > 0
}

// A replyBody reads the body of an answer.
type replyBody struct {
	in     *bufio.Reader
	left   int64     // of a body whose length is known; -1: it is not
	chunks io.Reader // nil: it has no chunks
}

func newReplyBody(in *bufio.Reader, r *reply) replyBody {
	b := replyBody{in: in, left: r.length}
	if r.chunked {
		b.chunks = httputil.NewChunkedReader(in)
	}
	return b
}

func (b *replyBody) Read(p []byte) (int, error) {
	switch {
	case b.chunks != nil:
		return b.chunks.Read(p)
	case b.left < 0:
		return b.in.Read(p)
	case b.left == 0:
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// finish reads on to the end of the answer, and reports whether that is there,
// with nothing behind it. It is only asked where nothing more is expected.
func (b *replyBody) finish() bool {
	if b.chunks == nil {
		return b.left == 0 && b.in.Buffered() == 0
	}
	var more [1]byte
	if _, err := io.ReadFull(b.chunks, more[:]); err != io.EOF {
		return false
	}
	line, err := b.in.ReadSlice('\n')
	return err == nil && string(line) == "\r\n" && b.in.Buffered() == 0
}
