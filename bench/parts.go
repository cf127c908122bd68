package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// partVariable makes this program one of the floors that are measured, in a
// process of its own: "echo", or "forward http://…".
const partVariable = "WHISKAWAY_BENCH_PART"

// servePart serves until the process is ended.
func servePart(part string) error {
	var handler http.Handler = http.HandlerFunc(echo)
	if target, ok := strings.CutPrefix(part, "forward "); ok {
		handler = forwardTo(target)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	return http.Serve(l, handler)
}

// echo answers with the question's body.
func echo(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, max(r.ContentLength, 0))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, "the body is cut", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// forwardTo is the floor of one hop: what net/http takes at least, tuned, with
// nothing added.
func forwardTo(target string) http.Handler {
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, target, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		req.ContentLength = r.ContentLength
		resp, err := transport.RoundTrip(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
}

// startPart starts this program as one of the floors.
func (l *lab) startPart(s *setup, name, part string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return l.startProcess(s, command{name: name, path: self, env: []string{partVariable + "=" + part}})
}
