package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/wire"
)

// Who begins a body and does not go on gets an answer, and holds no connection for ever: in the lane for plain POSTs, and in
// net/http's.
func TestAlwaysTrue7SlowBodies(t *testing.T) {
	f := newFuzzedAPI(t)
	f.ask("PUT", prefix+"/namespaces/_/actions/web", guest, []byte(webBody))
	f.api.silence = 100 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- (&wire.Server{Handler: f.api}).Serve(ctx, l) }()
	defer func() { cancel(); <-served }()
	for _, method := range []string{"POST", "PUT"} {
		for _, length := range []int{100, 100_000} {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			head := fmt.Sprintf("%s %s/web/guest/default/web HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", method, prefix, length)
			if _, err := conn.Write([]byte(head)); err != nil {
				t.Fatal(err)
			}
			for range 4 { // who is slow is waited for
				time.Sleep(40 * time.Millisecond)
				conn.Write([]byte(" "))
			}
			br := bufio.NewReader(conn)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != http.StatusRequestTimeout {
				t.Fatalf("%s of %d: %v, %v", method, length, resp, err)
			}
			var body strings.Builder
			if _, err := br.WriteTo(&body); err != nil || !strings.Contains(body.String(), "did not come in time") {
				t.Errorf("%s of %d: %s, %v", method, length, body.String(), err)
			}
		}
	}
}
