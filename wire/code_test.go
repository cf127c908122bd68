package wire

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/whiskaway/whiskaway/function"
)

// A put is one upload as it arrived.
type put struct {
	encoding string
	length   int64 // announced; -1: not
	bytes    int64
}

// A putWatch notes the uploads on their way to a handler, which may be changed by then.
type putWatch struct {
	next   http.Handler
	change func(w http.ResponseWriter, r *http.Request) http.ResponseWriter // nil: nothing is

	mu   sync.Mutex
	puts []put
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

func (pw *putWatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &countedBody{ReadCloser: r.Body}
	p := put{encoding: r.Header.Get("Content-Encoding"), length: r.ContentLength}
	r.Body = body
	if pw.change != nil {
		w = pw.change(w, r)
	}
	pw.next.ServeHTTP(w, r)
	if p.bytes = body.n; r.Method == http.MethodPut {
		pw.mu.Lock()
		defer pw.mu.Unlock()
		pw.puts = append(pw.puts, p)
	}
}

// handOver lets a client Init with the code, through watch, and returns the uploads.
func handOver(t *testing.T, h *Handler, host *fakeHost, watch *putWatch, code string, open func() (io.ReadCloser, error)) []put {
	t.Helper()
	watch.next = h
	c := dialTo(t, serve(t, watch, Server{}), testSecret)
	spec := testSpec(code)
	if _, err := function.InitWithCode(t.Context(), c, spec, function.Lease{ID: "l"}, open); err != nil {
		t.Fatal(err)
	}
	if host.code["guest "+spec.Code.String()] != code {
		t.Error("the host has other bytes")
	}
	watch.mu.Lock()
	defer watch.mu.Unlock()
	return watch.puts
}

// readerOf opens code as a file is opened: it can be read again.
func readerOf(code string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		return struct {
			*io.SectionReader
			io.Closer
		}{io.NewSectionReader(strings.NewReader(code), 0, int64(len(code))), io.NopCloser(nil)}, nil
	}
}

func newCodeHandler(t *testing.T) (*Handler, *fakeHost) {
	host := &fakeHost{}
	h := NewHandler(HandlerConfig{Host: host, Auth: Static(Token{Secret: testSecret})})
	t.Cleanup(h.Close)
	return h, host
}

func randomText(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

func TestCodeIsCompressedWhenThatHelps(t *testing.T) {
	noLeaks(t)
	text := strings.Repeat("def main(args):\n    return args\n", 100_000)
	noise := randomText(3 << 20)
	once := func(code string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(code)), nil }
	}
	for name, c := range map[string]struct {
		code   string
		open   func() (io.ReadCloser, error)
		packed bool
	}{
		"text":             {text, readerOf(text), true},
		"noise":            {noise, readerOf(noise), false},
		"noise after text": {text[:sampleSize] + noise, readerOf(text[:sampleSize] + noise), true},
		"text after noise": {noise + text, readerOf(noise + text), false},
		"short":            {text[:100], readerOf(text[:100]), false},
		"nothing":          {"", readerOf(""), false},
		"read only once":   {text, once(text), false},
	} {
		t.Run(name, func(t *testing.T) {
			h, host := newCodeHandler(t)
			got := handOver(t, h, host, &putWatch{}, c.code, c.open)
			if len(got) != 1 {
				t.Fatalf("uploads: %+v", got)
			}
			size := int64(len(c.code))
			switch p := got[0]; {
			case c.packed && (p.encoding != "zstd" || name == "text" && p.bytes > size/100):
				t.Errorf("of %d bytes came %+v", size, p)
			case !c.packed && (p.encoding != "" || p.bytes != size || name != "read only once" && p.length != size):
				t.Errorf("of %d bytes came %+v", size, p)
			}
			if len(h.unpackers) != 0 {
				t.Error("an unpacker was not given back")
			}
		})
	}
}

// silent hides from a client that its host takes compressed code.
type silent struct{ http.ResponseWriter }

func (s silent) WriteHeader(status int) {
	s.Header().Del("Accept-Encoding")
	s.ResponseWriter.WriteHeader(status)
}

// Code reaches hosts that know nothing of encodings, that say so, and that cannot unpack now.
func TestCodeIsSentRawToWhoDoesNotUnpackIt(t *testing.T) {
	noLeaks(t)
	text := strings.Repeat("def main(args):\n    return args\n", 10_000)
	for name, c := range map[string]struct {
		change func(w http.ResponseWriter, r *http.Request) http.ResponseWriter
		busy   bool
		want   []string // encodings of the uploads
	}{
		"an older host": {
			change: func(w http.ResponseWriter, r *http.Request) http.ResponseWriter { return silent{w} },
			want:   []string{""},
		},
		"an older host beside a newer one": {
			change: func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
				r.Header.Del("Content-Encoding") // it does not look at it
				return w
			},
			want: []string{"zstd", ""},
		},
		"a host with another encoding": {
			change: func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
				if r.Header.Get("Content-Encoding") != "" {
					r.Header.Set("Content-Encoding", "br")
				}
				return w
			},
			want: []string{"zstd", ""},
		},
		"a host that unpacks enough": {busy: true, want: []string{"zstd", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			h, host := newCodeHandler(t)
			for c.busy && len(h.unpackers) < maxUnpackers {
				h.unpackers <- struct{}{}
			}
			got := handOver(t, h, host, &putWatch{change: c.change}, text, readerOf(text))
			var encodings []string
			for _, p := range got {
				encodings = append(encodings, p.encoding)
			}
			if strings.Join(encodings, ",") != strings.Join(c.want, ",") {
				t.Errorf("the uploads were %q, not %q", encodings, c.want)
			}
		})
	}
}

func packed(t *testing.T, code string, options ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	e, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	e.Write([]byte(code))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// skippable is a piece of n bytes that means nothing in compressed data.
func skippable(n int) []byte {
	head := []byte{0x50, 0x2a, 0x4d, 0x18, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	return append(head, make([]byte, n)...)
}

func TestBadCompressedCodeIsRefused(t *testing.T) {
	noLeaks(t)
	code := strings.Repeat("def main(args):\n    return args\n", 100_000)
	good := packed(t, code)
	for name, c := range map[string]struct {
		body   []byte
		status int
	}{
		"good":                     {good, 204},
		"in two frames":            {append(packed(t, code[:1000]), packed(t, code[1000:])...), 204},
		"with a little of nothing": {append(skippable(1000), good...), 204},
		"cut":                      {good[:len(good)/2], 400},
		"garbage":                  {[]byte(code), 400},
		"something behind it":      {append(bytes.Clone(good), "more"...), 400},
		"nothing at all":           {nil, 400},
		"another code":             {packed(t, code+"x"), 400},
		"a window above the limit": {packed(t, code+strings.Repeat(randomText(1000), 20_000), zstd.WithWindowSize(16<<20)), 400},
		"a lot of nothing":         {append(bytes.Repeat(skippable(1<<20), 5), good...), 400},
	} {
		t.Run(name, func(t *testing.T) {
			h, host := newCodeHandler(t)
			addr := serve(t, h, Server{})
			url := "http://" + addr + "/code/" + function.DigestOf([]byte(code)).String()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+testSecret)
			r.Header.Set(headerNamespace, "guest")
			r.Header.Set("Content-Encoding", "ZSTD")
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != c.status || (len(host.code) == 1) != (c.status == 204) || len(h.unpackers) != 0 {
				t.Errorf("%d %s; the host has %d codes, %d unpackers are in use", resp.StatusCode, text, len(host.code), len(h.unpackers))
			}
		})
	}
}
