package test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A rawAnswer is what came back for raw bytes.
type rawAnswer struct {
	status int
	header http.Header
	body   string
}

// exchange sends raw bytes on a connection of their own, and reads the answer.
// With cut the sending half is closed behind them.
func exchange(t *testing.T, url, raw string, cut bool) rawAnswer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	// The host may answer and close before it has read all; then writing fails,
	// and the answer is there all the same.
	_, writeErr := io.WriteString(conn, raw)
	if cut {
		conn.(*net.TCPConn).CloseWrite()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v (writing: %v)", err, writeErr)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("half an answer, %d %q: %v", resp.StatusCode, body, err)
	}
	return rawAnswer{resp.StatusCode, resp.Header, string(body)}
}

// wantRefusal checks the answer to c. secrets are texts that it must not tell:
// directories of the host, tokens.
func (c badCase) wantRefusal(t *testing.T, got rawAnswer, secrets ...string) {
	t.Helper()
	if got.status != c.status {
		t.Errorf("status %d, want %d: %.500q", got.status, c.status, got.body)
	}
	for _, secret := range append(secrets, "panic", "goroutine", ".go:") {
		if strings.Contains(got.body, secret) {
			t.Errorf("the answer tells %q: %.500q", secret, got.body)
		}
	}
	if !strings.Contains(got.body, c.words) {
		t.Errorf("%.500q lacks %q", got.body, c.words)
	}
	if c.code == "" {
		return
	}
	var e struct{ Error, Code string }
	if err := json.Unmarshal([]byte(got.body), &e); err != nil || e.Error == "" || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("not an error as JSON: %.500q %v", got.body, err)
	}
	if c.code != anyCode && e.Code != c.code {
		t.Errorf("the code is %q, want %q", e.Code, c.code)
	}
}

// anyCode is for faces whose errors have no code for programs.
const anyCode = "*"
