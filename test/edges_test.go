package test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// attackers is how many do each bad thing at a time.
func attackers() int {
	if slow() {
		return 100
	}
	return 20
}

// Who sends too much, too slowly, or nothing at all, and has no token, is cut or refused on both kinds of port and on both
// lanes of the HTTP server, costs nobody else anything, and leaves nothing behind in the balancer.
func TestSlowAndOversizedRequestsLeaveNothingBehind(t *testing.T) {
	t.Run("plain", func(t *testing.T) { withstands(t, "127.0.0.1:0") })
	t.Run("TLS", func(t *testing.T) { withstands(t, "0.0.0.0:0") })
}

func withstands(t *testing.T, listen string) {
	t.Parallel() // it waits for limits of 10 s, most of the time
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", listen, "--data", dir, "--pprof", freeAddress(t))
	port := p.waitFor(`balancer listening on https?://\S+:(\d+)`)
	url := "http://127.0.0.1:" + port
	if listen != "127.0.0.1:0" {
		url = "https://127.0.0.1:" + port
	}
	start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--data", t.TempDir()).waitFor("joined")
	client := readToken(t, dir, "client")
	v := newVictim(t, url, client, "guest")
	before := p.holds(t)
	var all sync.WaitGroup
	for name, attack := range attacks() {
		if attack.secure && !strings.HasPrefix(url, "https") {
			continue
		}
		for range attackers() {
			all.Go(func() { attack.try(t, name, url) })
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	for over := false; !over; {
		v.unharmed(t)
		select {
		case <-done:
			over = true
		case <-time.After(200 * time.Millisecond):
		}
	}
	after := before
	eventually(t, "the balancer to hold no more than before", func() bool {
		after = p.holds(t)
		return after.files <= before.files && after.goroutines <= before.goroutines
	})
	t.Logf("before %+v, after %+v", before, after)
	const each = 4 << 20 // a few attackers' headers may wait for the garbage collector
	if after.memory > before.memory+64<<20+int64(attackers())*each || after.threads > before.threads+50 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, role := range []string{"join", "client", "admin"} {
		if strings.Contains(p.log(), secretOf(readToken(t, dir, role))) {
			t.Errorf("the log tells the %s token", role)
		}
	}
}

// An attack is something bad that somebody without a token does on a connection.
type attack struct {
	first  string // what is sent at once
	drip   string // what is then sent again and again, slowly
	status int    // of the answer; 0: there is none, the connection is closed
	raw    bool   // below TLS
	secure bool   // for TLS only
}

func attacks() map[string]attack {
	const host = "Host: x\r\n"
	slowBody := "Authorization: Bearer wa_client_wrong\r\nContent-Length: 1000\r\n\r\n"
	return map[string]attack{
		"slow headers":                      {first: "POST /run HTTP/1.1\r\n" + host, drip: "X", status: 0},
		"slow headers, net/http's":          {first: "GET /status HTTP/1.1\r\n" + host + "X: ", drip: "x", status: 0},
		"a slow first line":                 {first: "P", drip: "", status: 0},
		"a slow body":                       {first: "POST /run HTTP/1.1\r\n" + host + slowBody, drip: "x", status: 401},
		"a slow body, net/http's":           {first: "PUT /code/" + strings.Repeat("0", 64) + " HTTP/1.1\r\n" + host + slowBody, drip: "x", status: 401},
		"a body that never comes":           {first: "POST /init HTTP/1.1\r\n" + host + slowBody, status: 401},
		"chunks that never come":            {first: "POST /init HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", status: 401},
		"headers above 1 MB":                {first: "POST /run HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", status: 431},
		"many headers":                      {first: "GET /status HTTP/1.1\r\n" + host + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 2000) + "\r\n", status: 431},
		"a large body without a token":      {first: "POST /run HTTP/1.1\r\n" + host + "Content-Length: 8000000\r\n\r\n" + strings.Repeat("x", 1<<20), status: 401},
		"a token without end":               {first: "POST /run HTTP/1.1\r\n" + host + "Authorization: Bearer " + strings.Repeat("x", 900_000) + "\r\nContent-Length: 0\r\n\r\n", status: 401},
		"half a handshake":                  {first: "\x16\x03\x01\x40\x00\x01", drip: "\x01", raw: true, secure: true},
		"no handshake":                      {raw: true, secure: true},
		"plain HTTP to TLS":                 {first: "GET / HTTP/1.1\r\n" + host + "\r\n", raw: true, secure: true, status: 400},
		"plain HTTP to TLS, with much more": {first: "POST /run HTTP/1.1\r\n" + host + "Content-Length: 8000000\r\n\r\n" + strings.Repeat("x", 1<<20), raw: true, secure: true, status: 400},
	}
}

// headLimit is how long a handshake, or a request's headers, may take.
const headLimit = 10 * time.Second

// try attacks on a connection of its own, and waits for its end.
func (a attack) try(t *testing.T, name, url string) {
	begin := time.Now()
	conn, err := net.Dial("tcp", url[strings.Index(url, "//")+2:])
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if strings.HasPrefix(url, "https") && !a.raw {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	conn.SetDeadline(time.Now().Add(patience))
	answered := make(chan int, 1)
	go func() { answered <- answerStatus(conn) }()
	io.WriteString(conn, a.first) // it may be refused before all is sent
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			io.WriteString(conn, a.drip) // after the end this fails, and the answer is there
		case got := <-answered:
			// Who was cut while it still wrote sees that as a reset. And with a hundred of each at a
			// time this process may be too busy to send its handshake or its headers in time.
			noAnswer := got == closedSilently || got == cutOff
			cut := noAnswer && (a.status == 0 || slow() && time.Since(begin) >= headLimit)
			if got != a.status && !cut {
				t.Errorf("%s: the answer is %d, want %d, after %v", name, got, a.status, time.Since(begin))
			}
			return
		}
	}
}

// What answerStatus returns where there is no answer.
const (
	closedSilently = 0
	cutOff         = -1
	keptOpen       = -2
)

// answerStatus reads an answer to its end, and returns its status.
func answerStatus(conn net.Conn) int {
	in := bufio.NewReader(conn)
	_, err := in.Peek(1)
	var timeout net.Error
	switch {
	case err == io.EOF:
		return closedSilently
	case errors.As(err, &timeout) && timeout.Timeout():
		return keptOpen
	case err != nil:
		return cutOff
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return cutOff
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
