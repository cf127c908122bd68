package invoker

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answeredBy asks a container that answers with what the reader gives, for as long as it gives something.
func answeredBy(t *testing.T, answer io.Reader) (answer, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(conn, answer) // an error means that the client has left
	}()
	defer func() { l.Close(); <-served }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := &client{addr: l.Addr().String()}
	defer c.close()
	return c.ask(ctx, question{path: "/run", body: [][]byte{[]byte("{}")}}, 1<<20)
}

// endless gives the same text again and again.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// A user's image may answer anything, for as long as it likes. What of it is no answer costs the platform
// neither memory nor the action's whole time limit.
func TestAlwaysTrue10EndlessAnswersOfContainers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for what, c := range map[string]struct {
		head string
		rest endless
	}{
		"headers":        {ok, "x: " + endless(strings.Repeat("y", 1000)) + "\r\n"},
		"one header":     {ok + "x: ", "y"},
		"status line":    {"HTTP/1.1 200 ", "x"},
		"provisional":    {"", "HTTP/1.1 100 Continue\r\n\r\n"},
		"nothing at all": {"", "\r\n"},
	} {
		if ans, err := answeredBy(t, io.MultiReader(strings.NewReader(c.head), c.rest)); err == nil {
			t.Errorf("%s: %v", what, ans.status)
		} else if strings.Contains(err.Error(), "deadline") {
			t.Errorf("%s: %v", what, err)
		}
	}
	ans, err := answeredBy(t, io.MultiReader(strings.NewReader(ok+"Transfer-Encoding: chunked\r\n\r\n"), endless("1\r\nx\r\n")))
	if err != nil || ans.length >= 0 {
		t.Errorf("endless chunks: %d, %v", ans.length, err)
	}
	ans, err = answeredBy(t, io.MultiReader(strings.NewReader(fmt.Sprintf("%sContent-Length: %d\r\n\r\n", ok, int64(1)<<50)), endless("x")))
	if err != nil || !ans.truncated || len(ans.body) != 1<<20 {
		t.Errorf("an endless body: %d bytes, %v", len(ans.body), err)
	}
}

func TestKeysAreShown(t *testing.T) {
	asked := make(chan string, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Get(HeaderKey) })}
	go s.Serve(l)
	defer s.Close()
	c := &container{Container: keyed{addr: l.Addr().String()}}
	if ans, err := c.client().ask(t.Context(), question{path: "/run"}, 10); err != nil || ans.status != 200 || <-asked != "the key" {
		t.Errorf("%v, %v", ans, err)
	}
}

// keyed is a Container of which only address and key are asked.
type keyed struct {
	Container
	addr string
}

func (k keyed) Addr() string { return k.addr }
func (k keyed) Key() string  { return "the key" }
