package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/invoker"
)

// A fakeEngine answers like an engine, but for what a test lets go wrong. What a real one does is
// tested in test/docker; this is for faults that a real one does not have when they are wanted.
type fakeEngine struct {
	t    *testing.T
	host string

	mu         sync.Mutex
	containers map[string]string // names by id
	streams    map[string]net.Conn
	removals   int
	// fault is asked first. true: it has answered, or never will.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func startFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	f := &fakeEngine{t: t, containers: map[string]string{}, streams: map[string]net.Conn{}}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f.host = "unix://" + path
	server := &http.Server{Handler: f}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) })
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return f
}

func (f *fakeEngine) goWrong(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // from then on r's context ends with the connection
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/v1.41"), "/"), "/")
	last := parts[len(parts)-1]
	switch {
	case last == "version":
		fmt.Fprint(w, `{"ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
	case parts[0] == "images":
		fmt.Fprint(w, `{"Config":{"Labels":null}}`)
	case last == "create":
		id := fmt.Sprint("id", len(f.containers)+f.removals)
		f.containers[id] = r.URL.Query().Get("name")
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]string{"Id": id})
	case last == "attach":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			f.t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		f.streams[parts[1]] = conn
	case last == "json" && len(parts) == 2:
		list := []map[string]any{}
		for id, name := range f.containers {
			list = append(list, map[string]any{"Id": id, "Names": []string{"/" + name}})
		}
		json.NewEncoder(w).Encode(list)
	case last == "json":
		fmt.Fprint(w, `{"State":{"Running":true},"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"127.0.0.1"}}}}`)
	case r.Method == http.MethodDelete:
		delete(f.containers, parts[1])
		f.removals++
		if conn := f.streams[parts[1]]; conn != nil {
			conn.Close()
		}
		w.WriteHeader(http.StatusNoContent)
	default: // start, pause, unpause
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fakeEngine) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.containers)
}

func (f *fakeEngine) stream(id string) net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.streams[id]
}

// open returns a driver on it whose calls may take a quarter of a second.
func (f *fakeEngine) open() *Driver {
	f.t.Helper()
	e, err := Connect(f.t.Context(), f.host)
	if err != nil {
		f.t.Fatal(err)
	}
	e.askLimit, e.changeLimit = time.Second/4, time.Second/4
	d, err := Open(f.t.Context(), e, Config{Platform: "p", Images: map[string]string{"python:3": "image"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		f.goWrong(nil)
		if err := d.Close(context.Background()); err != nil {
			f.t.Error(err)
		}
		e.Close()
		if n := f.left(); n > 0 {
			f.t.Errorf("%d containers are left", n)
		}
	})
	return d
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

var python = invoker.Spec{Name: "n", Kind: "python:3", Memory: 256}

// on lets one call go wrong by answer; the others go well.
func on(method, suffix string, answer func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		answer(w, r)
		return true
	}
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprint(w, `{"message":"out of luck"}`)
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Every call that refuses, hangs or is cut ends the start with the reason, and nothing stays.
func TestStartThatFailsLeavesNothingFakeEngine(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	for _, step := range []struct{ method, suffix string }{
		{"GET", "/images/image/json"}, {"POST", "/create"}, {"POST", "/attach"}, {"POST", "/start"}, {"GET", "/id0/json"},
	} {
		for how, c := range map[string]struct {
			answer func(http.ResponseWriter, *http.Request)
			want   string
		}{
			"refuses": {refuse, "the Docker engine says: out of luck"},
			"hangs":   {hang, "did not answer within 250ms"},
			"is cut":  {cut, "cannot be reached"},
		} {
			t.Run(step.suffix+" "+how, func(t *testing.T) {
				f := startFakeEngine(t)
				d := f.open()
				f.goWrong(on(step.method, step.suffix, c.answer))
				_, err := d.Start(t.Context(), python)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the error is %v, want %q", err, c.want)
				}
				eventually(t, "nothing is left", func() bool { return f.left() == 0 })
			})
		}
	}
}

// An engine that takes a request, is too slow, and makes the container all the same: it goes when it is found.
func TestContainerThatComesTooLateGoesFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	d := f.open()
	made := make(chan struct{})
	f.goWrong(on("POST", "/create", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // we have lost patience
		f.mu.Lock()
		f.containers["late"] = r.URL.Query().Get("name")
		f.mu.Unlock()
		close(made)
	}))
	if _, err := d.Start(t.Context(), python); err == nil {
		t.Fatal("it started")
	}
	<-made
	d.sweepSoon() // what the minute's tick does
	eventually(t, "the late container is removed", func() bool { return f.left() == 0 })
}

// A removal that fails is made up for.
func TestRemovalIsTriedAgainFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	d := f.open()
	c, err := d.Start(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	failures := 2
	f.goWrong(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodDelete || failures == 0 {
			return false
		}
		failures--
		refuse(w, r)
		return true
	})
	if err := c.Kill(t.Context()); err == nil || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("Kill: %v", err)
	}
	<-c.Done()
	eventually(t, "it is removed after all", func() bool { return f.left() == 0 })
}

// A stream that breaks within a line ends the container, and both of its logs.
func TestBrokenStreamEndsTheContainerFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	d := f.open()
	c, err := d.Start(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	conn := f.stream("id0")
	conn.Write(append(frame(1, "whole\n"), frame(1, "cut")[:9]...))
	conn.Close()
	stdout, stderr := c.Logs()
	var out []byte
	var reading sync.WaitGroup
	reading.Go(func() { out, _ = io.ReadAll(stdout) })
	reading.Go(func() { io.Copy(io.Discard, stderr) })
	reading.Wait()
	<-c.Done()
	if string(out) != "whole\nc" {
		t.Errorf("stdout was %q", out)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Error(err)
	}
}

// Who gives up waiting is told at once, and the pull goes on for the next one.
func TestPullOutlivesItsFirstCallerFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	d := f.open()
	pulls, here := 0, false
	var mu sync.Mutex
	arrive := make(chan struct{})
	f.goWrong(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/create"):
			pulls++
			mu.Unlock()
			<-arrive
			mu.Lock()
			here = true
			fmt.Fprintln(w, `{"status":"Pulling"}`)
			return true
		case strings.HasSuffix(r.URL.Path, "/images/mine/json") && !here:
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	spec := invoker.Spec{Name: "n", Kind: "blackbox", Image: "mine", Memory: 128}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var image *invoker.ImageError
	if _, err := d.Start(ctx, spec); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &image) {
		t.Errorf("the first caller was told %v", err)
	}
	started := make(chan error, 1)
	go func() {
		c, err := d.Start(t.Context(), spec)
		if err == nil {
			err = c.Kill(t.Context())
		}
		started <- err
	}()
	close(arrive)
	if err := <-started; err != nil {
		t.Errorf("the second caller was told %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if pulls != 1 {
		t.Errorf("it was pulled %d times", pulls)
	}
}

// A pull's failure comes in the middle of a good answer.
func TestPullThatFailsHalfwayFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	d := f.open()
	f.goWrong(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/create"):
			fmt.Fprintln(w, `{"status":"Pulling"}`+"\n"+`{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}`)
			return true
		case strings.HasPrefix(r.URL.Path, "/v1.41/images/"):
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	_, err := d.Start(t.Context(), invoker.Spec{Name: "n", Kind: "blackbox", Image: "mine", Memory: 128})
	var image *invoker.ImageError
	if !errors.As(err, &image) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("a user's image: %v", err)
	}
	_, err = d.Start(t.Context(), python)
	if err == nil || errors.As(err, &image) || !strings.Contains(err.Error(), "no space left on device): build or pull it, or name another with --image") {
		t.Errorf("a kind's image: %v", err)
	}
}

// An engine that is too old is refused with what is needed.
func TestOldEngineFakeEngine(t *testing.T) {
	f := startFakeEngine(t)
	f.goWrong(on("GET", "/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ApiVersion":"1.38"}`) }))
	if _, err := Connect(t.Context(), f.host); err == nil || !strings.Contains(err.Error(), "1.40 or newer") {
		t.Errorf("%v", err)
	}
}
