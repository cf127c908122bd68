package main

import (
	"bufio"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/whiskaway/whiskaway/platform/invoker"
)

// watchLifeline ends this process when the file descriptor that number names
// reaches its end: whoever started us is gone, and nobody would stop us. last is called
// before. It returns the key that is the first line there, where keyed says so.
func watchLifeline(number string, keyed bool, last func()) (key string, err error) {
	if number == "" {
		return "", nil
	}
	f := os.Stdin // in a container it is the only one that can be handed in
	if number != "0" {
		if f, err = inherited(number, "WHISKAWAY_LIFELINE_FD"); err != nil {
			return "", err
		}
	}
	r := bufio.NewReader(f)
	if keyed {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("reading the key from the lifeline: %w", err)
		}
		if key = strings.TrimSpace(line); key == "" {
			return "", errors.New("the lifeline's first line is empty, but WHISKAWAY_LIFELINE_KEY says that it is a key")
		}
	}
	// This goroutine ends with the process: that is its whole purpose.
	go func() {
		io.Copy(io.Discard, r)
		last()
		os.Exit(1)
	}()
	return key, nil
}

// A callerKey is what callers of a runtime have to show; empty: nothing. A runtime that is a process of the
// platform's machine is within reach of all that runs there.
type callerKey string

func (k callerKey) guard(next http.Handler) http.Handler {
	if k == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(invoker.HeaderKey)), []byte(k)) != 1 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"error":"This runtime answers only the platform that started it."}`+"\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tellReady writes the address to the file descriptor that number names.
func tellReady(number, address string) error {
	if number == "" {
		return nil
	}
	f, err := inherited(number, "WHISKAWAY_READY_FD")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, address); err != nil {
		return fmt.Errorf("telling that we are ready: %w", err)
	}
	return nil
}

func inherited(number, variable string) (*os.File, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is not the number of a file descriptor above 2", variable, number)
	}
	return os.NewFile(uintptr(fd), variable), nil
}
