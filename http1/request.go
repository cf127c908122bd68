package http1

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// A request is the head of the request at hand.
type request struct {
	remote   string
	template http.Request // what handlers get, but for the context
	url      url.URL
	header   http.Header
	values   []string // what header's lists are parts of
	last     bool     // the connection ends with it
}

func (q *request) init(nc net.Conn) {
	q.header = make(http.Header, 16)
	q.values = make([]string, 0, 32)
	if a := nc.RemoteAddr(); a != nil {
		q.remote = a.String()
	}
}

// forHandler returns the request for a handler.
func (q *request) forHandler(ctx context.Context, b *body) *http.Request {
	q.template.Body = b
	if b.left == 0 {
		q.template.Body = http.NoBody
	}
	return q.template.WithContext(ctx)
}

// method is what a request of ours begins with.
const method = "POST /"

// mayBeOurs reports whether the beginning of a request is that of one of ours.
func mayBeOurs(have []byte) bool {
	n := min(len(have), len(method))
	return string(have[:n]) == method[:n]
}

// hasBareLineEnd reports whether a line ends without a carriage return: net/http may
// take that for the end of the head.
func hasBareLineEnd(have []byte) bool {
	for rest := have; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || rest[i-1] != '\r' {
			return true
		}
		rest = rest[i+1:]
	}
}

// parse reads a head, up to the empty line, and returns the body's size. It reports
// false for everything that is not as plain as can be: net/http knows what to do then.
func (q *request) parse(head []byte) (size int64, ok bool) {
	text := string(head[:len(head)-len("\r\n")]) // all that the header refers to, in one piece
	line, rest, found := strings.Cut(text, "\r\n")
	path, found1 := strings.CutPrefix(line, method[:len(method)-1])
	path, found2 := strings.CutSuffix(path, " HTTP/1.1")
	uri := path
	path, query, asks := strings.Cut(path, "?")
	if !found || !found1 || !found2 || !isPlainPath(path) || asks && !isPlainQuery(query) {
		return 0, false
	}
	clear(q.header)
	q.values, q.last = q.values[:0], false
	for rest != "" {
		if line, rest, found = strings.Cut(rest, "\r\n"); !found || !q.add(line) {
			return 0, false
		}
	}
	length, ok := parseLength(q.header["Content-Length"])
	host := q.header["Host"]
	if !ok || len(host) == 0 || !isPlainHost(host[0]) || !q.connection() {
		return 0, false
	}
	delete(q.header, "Host") // as net/http does
	q.url = url.URL{Path: path, RawQuery: query}
	q.template = http.Request{
		Method: http.MethodPost, URL: &q.url, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: q.header, ContentLength: length, Host: host[0], RemoteAddr: q.remote, RequestURI: uri, Close: q.last,
	}
	return length, true
}

// add takes one header. None of ours is there twice.
func (q *request) add(line string) bool {
	name, value, found := strings.Cut(line, ":")
	if !found || !isToken(name) {
		return false
	}
	value = strings.Trim(value, " \t")
	if !isPlainValue(value) || len(q.values) == cap(q.values) {
		return false
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if _, twice := q.header[name]; twice || isTheirs(name) {
		return false
	}
	q.values = append(q.values, value)
	n := len(q.values)
	q.header[name] = q.values[n-1 : n : n]
	return true
}

// isTheirs reports whether a header changes what the rest of a request means.
func isTheirs(name string) bool {
	switch name {
	case "Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Te", "Pragma":
		return true
	}
	return false
}

// connection reads the header that says how the connection goes on.
func (q *request) connection() bool {
	values := q.header["Connection"]
	if len(values) == 0 || strings.EqualFold(values[0], "keep-alive") {
		return true
	}
	q.last = strings.EqualFold(values[0], "close")
	return q.last
}

func parseLength(values []string) (n int64, ok bool) {
	const longest = 18 // digits, so that it fits
	if len(values) == 0 || len(values[0]) == 0 || len(values[0]) > longest {
		return 0, false
	}
	for _, c := range []byte(values[0]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// isPlainPath reports whether path means itself.
func isPlainPath(path string) bool {
	for i := range len(path) {
		c := path[i]
		if !isLetterOrDigit(c) && strings.IndexByte("/-_.~", c) < 0 {
			return false
		}
	}
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//")
}

// isPlainQuery reports whether a query, which net/url passes on as it is, is free of what might be
// read in two ways.
func isPlainQuery(query string) bool {
	for i := range len(query) {
		if !isLetterOrDigit(query[i]) && strings.IndexByte("-_.~=&%+,:/@", query[i]) < 0 {
			return false
		}
	}
	return query != ""
}

func isPlainHost(host string) bool {
	for i := range len(host) {
		if !isLetterOrDigit(host[i]) && strings.IndexByte(".:-_[]", host[i]) < 0 {
			return false
		}
	}
	return true
}

func isPlainValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isToken reports whether name can be a header's name, RFC 9110, section 5.6.2.
func isToken(name string) bool {
	for i := range len(name) {
		if !isLetterOrDigit(name[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", name[i]) < 0 {
			return false
		}
	}
	return name != ""
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
