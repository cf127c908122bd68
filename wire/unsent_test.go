package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A pipeListener hands out the far ends of pipes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dial returns a connection on which head has been sent.
func (l *pipeListener) dial(head string) net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	io.WriteString(near, head)
	return near
}

func TestASenderThatFallsSilentIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		host := &fakeHost{}
		serveOn(t, l, NewHandler(HandlerConfig{Host: host, Auth: Static(Token{Secret: testSecret})}), Server{})
		claim := fmt.Sprintf("Whiskaway-Function: %s\r\nWhiskaway-Lease: l\r\nWhiskaway-Namespace: n\r\n", function.ID{})
		for _, line := range []string{"POST /run", "POST /init", "PUT /code/" + function.DigestOf(nil).String()} {
			begin := time.Now()
			conn := l.dial(line + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + testSecret + "\r\n" + claim + "Content-Length: 100\r\n\r\n{")
			time.Sleep(unsent - time.Second)
			io.WriteString(conn, " ") // a sign of life
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(line, err)
			}
			text, _ := io.ReadAll(resp.Body)
			conn.Close()
			if took := time.Since(begin); resp.StatusCode != 400 || !strings.Contains(string(text), "nothing came for 30s") || took < 2*unsent-time.Second || took > 2*unsent+10*time.Second {
				t.Errorf("%s: %d %s after %v", line, resp.StatusCode, text, took)
			}
		}
		if len(host.claims) != 0 || len(host.inits) != 0 {
			t.Error("half a request reached the host")
		}
	})
}

// Who has sent all may wait for the answer as long as it takes.
func TestASenderMayBeSilentAfterItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		host := &fakeHost{run: func(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
			select {
			case <-ctx.Done():
				return function.Summary{}, ctx.Err()
			case <-time.After(10 * unsent):
				return echo(ctx, id, claim, act, out)
			}
		}}
		serveOn(t, l, NewHandler(HandlerConfig{Host: host, Auth: Static(Token{Secret: testSecret})}), Server{})
		conn := l.dial(fmt.Sprintf("POST /run HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nWhiskaway-Function: %s\r\nWhiskaway-Lease: l\r\nContent-Length: 2\r\n\r\n{", testSecret, function.ID{}))
		defer conn.Close()
		time.Sleep(unsent - time.Second)
		io.WriteString(conn, "}")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out recorder
		if sum, ended := readFramesOf(resp.Body, &out); !ended || sum.Outcome != function.OutcomeOK || out.text() != "3:{}" {
			t.Errorf("%+v %q", sum, out.text())
		}
	})
}
