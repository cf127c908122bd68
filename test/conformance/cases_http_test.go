package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/harness"
)

// dial opens a connection to the container.
func dial(t *testing.T, c *container) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(harness.Patience))
	return conn.(*net.TCPConn)
}

// exchange sends raw bytes on a connection of their own, and reads the answer.
func exchange(t *testing.T, c *container, raw string) answer {
	t.Helper()
	conn := dial(t, c)
	io.WriteString(conn, raw) // may fail when the answer comes before all is sent
	return receive(t, bufio.NewReader(conn), methodOf(raw))
}

func methodOf(raw string) string { return raw[:strings.IndexByte(raw, ' ')] }

func receive(t *testing.T, in *bufio.Reader, method string) answer {
	t.Helper()
	req, _ := http.NewRequest(method, "http://x", nil)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return readAnswer(t, resp)
}

// manners are about HTTP.
func manners() []testCase {
	refused := func(line string, status int, words string) testCase {
		return testCase{name: "http: " + line, on: ready, do: func(t *testing.T, c *container) {
			a := exchange(t, c, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
			if methodOf(line) == "HEAD" {
				if a.status != status || a.body != "" {
					t.Errorf("the answer is %v", a)
				}
			} else {
				wantError(t, a, status, words)
			}
			if allow := a.header.Get("Allow"); (status == 405) != (allow == "POST") {
				t.Errorf("Allow: %q", allow)
			}
		}}
	}
	// sent is a /run by raw bytes; head and body make the request.
	sent := func(name string, raw func(body string) string) testCase {
		return testCase{name: "http: " + name, on: ready, do: func(t *testing.T, c *container) {
			wantEcho(t, exchange(t, c, raw(c.runBody(`{"do":"echo","n":1}`, nil))), 1)
			c.expectGuards(t)
		}}
	}
	with := func(line, head string) func(string) string {
		return func(body string) string {
			return fmt.Sprintf("%s\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", line, head, len(body), body)
		}
	}
	const post = "POST /run HTTP/1.1"
	return []testCase{
		refused("GET /run", 405, "POST"), refused("PUT /run", 405, "POST"), refused("DELETE /init", 405, "POST"),
		refused("HEAD /run", 405, ""), refused("OPTIONS /run", 405, "POST"), refused("PATCH /init", 405, "POST"), refused("post /run", 405, "POST"),
		refused("POST /", 404, "POST /run"), refused("GET /", 404, "POST /run"), refused("POST /run/", 404, "POST /run"), refused("POST /runs", 404, "POST /run"),
		refused("POST /init/x", 404, "POST /init"), refused("POST //run", 404, "POST /run"), refused("POST /../run", 404, "POST /run"), refused("HEAD /", 404, ""),
		sent("nothing special", with(post, "")),
		sent("a query string", with("POST /run?a=1&b=%zz HTTP/1.1", "")),
		sent("another content type", with(post, "Content-Type: text/plain\r\n")),
		sent("compression is offered", with(post, "Accept-Encoding: gzip, deflate\r\n")),
		sent("a whole URL", with("POST http://x/run HTTP/1.1", "")),
		sent("HTTP/1.0", with("POST /run HTTP/1.0", "")),
		sent("a body in chunks", func(body string) string {
			return fmt.Sprintf("%s\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", post, body[:5], len(body)-5, body[5:])
		}),
		{name: "http: where the time went", on: ready, do: times},
		{name: "http: 100-continue", on: ready, do: expectContinue},
		{name: "http: many runs on one connection", on: ready, do: keepAlive},
		{name: "http: runs sent before the last was answered", on: ready, do: pipelined},
		{name: "http: a body that comes slowly", on: ready, do: slowly},
		{name: "http: a body that is cut", on: ready, do: cutBody},
	}
}

func wantEcho(t *testing.T, a answer, n int) {
	t.Helper()
	if want := fmt.Sprintf(`{"do":"echo","n":%d}`, n); a.status != 200 || canonical(t, a.body) != want {
		t.Errorf("the answer is %v, want %s", a, want)
	}
}

// times: each station that a run passes says how long it took.
func times(t *testing.T, c *container) {
	stations := map[string][]string{"local": {"function", "server", "runtime"}, "client": {"function", "server", "balancer", "runtime"}}[c.m.name]
	line := c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`).header.Get("Server-Timing")
	for _, s := range stations {
		if !strings.Contains(line, s+";dur=") {
			t.Errorf("Server-Timing is %q, without %s", line, s)
		}
	}
}

func expectContinue(t *testing.T, c *container) {
	conn, body := dial(t, c), c.runBody(`{"do":"echo","n":1}`, nil)
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /run HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("it said %q %v", line, err)
	}
	in.ReadString('\n')
	io.WriteString(conn, body)
	wantEcho(t, receive(t, in, "POST"), 1)
	c.expectGuards(t)
}

func request(c *container, n int) string {
	body := c.runBody(fmt.Sprintf(`{"do":"echo","n":%d}`, n), nil)
	return fmt.Sprintf("POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func keepAlive(t *testing.T, c *container) {
	conn := dial(t, c)
	in := bufio.NewReader(conn)
	for i := range 10 {
		io.WriteString(conn, request(c, i))
		wantEcho(t, receive(t, in, "POST"), i)
		c.expectGuards(t)
	}
}

func pipelined(t *testing.T, c *container) {
	conn := dial(t, c)
	io.WriteString(conn, request(c, 0)+request(c, 1)+request(c, 2))
	in := bufio.NewReader(conn)
	for i := range 3 {
		wantEcho(t, receive(t, in, "POST"), i)
	}
	c.skipGuards(t, 3)
}

func slowly(t *testing.T, c *container) {
	conn, whole := dial(t, c), request(c, 1)
	for len(whole) > 0 {
		n := min(50, len(whole))
		io.WriteString(conn, whole[:n])
		if whole = whole[n:]; whole != "" {
			c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`) // others are served meanwhile
		}
	}
	wantEcho(t, receive(t, bufio.NewReader(conn), "POST"), 1)
	c.expectGuards(t)
}

// cutBody: nobody may be left to read the answer, but the logs must end.
func cutBody(t *testing.T, c *container) {
	runs := count(t, c)
	conn, whole := dial(t, c), request(c, 1)
	io.WriteString(conn, whole[:len(whole)-10])
	conn.CloseWrite()
	a := receive(t, bufio.NewReader(conn), "POST")
	c.expectGuards(t)
	wantError(t, a, 400, "ended early")
	if again := count(t, c); again != runs+1 {
		t.Errorf("the function counts %d runs after %d", again, runs)
	}
}
