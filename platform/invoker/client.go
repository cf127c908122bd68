package invoker

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/stream"
)

// errNotStarted says that a request certainly never reached the container.
var errNotStarted = errors.New("no connection to the container")

// reuseWithin is how long an idle connection is used again: far shorter than any
// runtime keeps one, so that no run is written into a connection that is being closed.
const reuseWithin = time.Second

// maxHead bounds the heads of one answer, provisional ones included, in bytes: what a container says is
// whatever a user's image says.
const maxHead = 1 << 20

// A client speaks HTTP/1.1 to one container, one request at a time, on one
// connection. net/http's client would put two more goroutines and two hand-overs
// between the question and its answer.
type client struct {
	addr   string
	header string           // further lines of each question's header, each with its end
	conn   net.Conn         // nil: none
	in     io.LimitedReader // of conn
	br     *bufio.Reader    // of in
	since  time.Time        // when conn became idle
}

// An answer is what a container said.
type answer struct {
	status    int
	header    http.Header
	length    int64 // as announced; -1: not announced
	body      []byte
	truncated bool // body is only the beginning
}

// A question is what a container is asked.
type question struct {
	path   string
	header string     // further lines of the header, each with its end
	reader bus.Reader // who takes the items of the answer as they come; nil: nobody
	body   [][]byte   // in parts
}

// ask sends the question and reads at most limit bytes of the answer. When
// ctx ends, the connection is cut. The error wraps errNotStarted when no
// connection could be made.
func (c *client) ask(ctx context.Context, q question, limit int64) (answer, error) {
	if err := c.connect(ctx); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotStarted, cmp.Or(ctx.Err(), err))
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	ans, keep, err := c.exchange(q, limit)
	if !stop() || err != nil || !keep {
		c.close()
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	c.since = time.Now()
	return ans, err
}

func (c *client) connect(ctx context.Context) error {
	if c.conn != nil && time.Since(c.since) < reuseWithin && !peerClosed(c.conn) {
		return nil
	}
	c.close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.conn, c.in.R = conn, conn
	c.br = bufio.NewReader(&c.in)
	return nil
}

func (c *client) exchange(q question, limit int64) (ans answer, keep bool, err error) {
	c.in.N = maxHead
	if err := c.send(q); err != nil {
		return ans, false, err
	}
	resp, err := http.ReadResponse(c.br, nil)
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(c.br, nil)
	}
	if err != nil {
		return ans, false, err
	}
	c.in.N = math.MaxInt64
	// What is not read of the body is not waited for either, as a Close would do: the connection ends then.
	if q.reader != nil && isEvents(resp) {
		ans, err = readEvents(resp, limit, q.reader)
		return ans, err == nil && !resp.Close, err
	}
	ans = answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	if ans.length < 0 {
		return ans, false, nil // not allowed: nobody will look at the body
	}
	ans.body = make([]byte, min(ans.length, limit))
	if _, err := io.ReadFull(resp.Body, ans.body); err != nil {
		return ans, false, err
	}
	ans.truncated = ans.length > limit
	return ans, !ans.truncated && !resp.Close, nil
}

func (c *client) send(q question) error {
	length := 0
	for _, part := range q.body {
		length += len(part)
	}
	head := make([]byte, 0, 320)
	head = append(head, "POST "...)
	head = append(head, q.path...)
	head = append(head, " HTTP/1.1\r\nHost: "...)
	head = append(head, c.addr...)
	head = append(head, "\r\nUser-Agent: whiskaway-invoker\r\nContent-Type: application/json\r\nContent-Length: "...)
	head = strconv.AppendInt(head, int64(length), 10)
	head = append(head, "\r\n"...)
	if q.reader != nil {
		head = append(head, "Accept: "+stream.TypeEvents+"\r\n"...)
	}
	head = append(append(head, c.header...), q.header...)
	head = append(head, "\r\n"...)
	all := append(net.Buffers{head}, q.body...)
	_, err := all.WriteTo(c.conn) // one writev
	return err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
