package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// startOpenServerless starts a server for OpenServerless's clients, and returns its address.
func startOpenServerless(t *testing.T, dir string, args ...string) (*process, string) {
	t.Helper()
	return serveOpenServerlessAt(t, dir, "127.0.0.1:0", args...)
}

func serveOpenServerlessAt(t *testing.T, dir, addr string, args ...string) (*process, string) {
	t.Helper()
	p := start(t, nil, nil, append([]string{"server", "--openserverless", addr, "--namespace", "demo", "--data", dir}, args...)...)
	return p, p.waitFor(`openserverless listening on http://(\S+)`)
}

// Each conversation is replayed byte for byte against a server of its own.
func TestOpenServerlessRecordedConversations(t *testing.T) {
	for _, version := range []string{"by-hash", "by-id"} {
		t.Run(version, func(t *testing.T) {
			requests, err := filepath.Glob(filepath.Join("testdata", "openserverless", version, "*.request"))
			if err != nil || len(requests) == 0 {
				t.Fatal("no conversation", err)
			}
			_, addr := startOpenServerless(t, t.TempDir())
			for _, path := range requests {
				status, body := replay(t, addr, path)
				checkAnswer(t, strings.TrimSuffix(path, ".request")+".answer.json", status, body)
			}
		})
	}
}

// replay sends what a file holds, on a connection of its own.
func replay(t *testing.T, addr, path string) (int, []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.ContentLength != int64(len(body)) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %v, length %d of %d, %v", path, err, resp.ContentLength, len(body), resp.Header)
	}
	return resp.StatusCode, body
}

// checkAnswer compares an answer with what must come back.
func checkAnswer(t *testing.T, path string, status int, body []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Status         int
		Body, Response any
		Err, Error     string
	}
	var got struct {
		Response   any
		Err, Error string
	}
	var whole any
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if json.Unmarshal(body, &got) != nil || json.Unmarshal(body, &whole) != nil || status != want.Status {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	if want.Body != nil && !reflect.DeepEqual(whole, want.Body) || want.Response != nil && !reflect.DeepEqual(got.Response, want.Response) ||
		!strings.Contains(got.Err, want.Err) || !strings.Contains(got.Error, want.Error) {
		t.Errorf("%s: got %s\nwant %s", path, body, text)
	}
}
