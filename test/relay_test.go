package test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A relay stands between whoever dials it and a target, and counts what passes,
// in whichever direction the requests go.
type relay struct {
	url   string
	bytes atomic.Int64 // both ways
	puts  atomic.Int64 // requests that hand over code
	stop  func()       // ends it before the test does
}

// startRelay starts a relay before the host at url. The test's end ends it.
func startRelay(t *testing.T, url string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{url: "http://" + l.Addr().String()}
	var conns openConns
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(&conns, c, strings.TrimPrefix(url, "http://")) })
		}
	})
	r.stop = sync.OnceFunc(func() {
		l.Close()
		conns.close()
		all.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// openConns are closed together.
type openConns struct {
	mu     sync.Mutex
	closed bool
	all    []net.Conn
}

func (o *openConns) add(conns ...net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range conns {
		o.all = append(o.all, c)
		if o.closed {
			c.Close()
		}
	}
}

func (o *openConns) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, c := range o.all {
		c.Close()
	}
}

// pass hands on what comes from a connection, both ways.
func (r *relay) pass(conns *openConns, from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	conns.add(from, to)
	var back sync.WaitGroup
	back.Go(func() { r.copy(from, to) })
	r.copy(to, from)
	back.Wait()
}

// copy hands on one direction, and its end.
func (r *relay) copy(to, from net.Conn) {
	io.Copy(to, io.TeeReader(struct{ io.Reader }{from}, &putCounter{relay: r}))
	to.(*net.TCPConn).CloseWrite()
}

// A putCounter counts in one direction of one connection.
type putCounter struct {
	relay *relay
	tail  []byte // the last bytes, in which a request's line may begin
}

func (c *putCounter) Write(p []byte) (int, error) {
	const line = "PUT /code/"
	c.relay.bytes.Add(int64(len(p)))
	seen := append(c.tail, p...)
	c.relay.puts.Add(int64(bytes.Count(seen, []byte(line))))
	c.tail = bytes.Clone(seen[max(0, len(seen)-len(line)+1):])
	return len(p), nil
}
