package test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// initBinary is the body of an /init with an archive.
func initBinary(main string, code []byte) string {
	b, _ := json.Marshal(map[string]any{"value": map[string]any{"name": "f", "main": main, "code": base64.StdEncoding.EncodeToString(code), "binary": true}})
	return string(b)
}

// heldOnDisk returns the bytes of the files without names below dir that a process has open.
func heldOnDisk(t *testing.T, pid int, dir string) (n int64) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		path, _ := os.Readlink(fd)
		info, err := os.Stat(fd)
		if err == nil && strings.HasPrefix(path, dir+"/") && strings.HasSuffix(path, " (deleted)") {
			n += info.Size()
		}
	}
	return n
}

// clientOf starts a runtime whose functions run at url, and whose temporary files are in temp.
func clientOf(t *testing.T, url, temp string, env ...string) *container {
	t.Helper()
	return startRuntime(t, append(env, "TMPDIR="+temp, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+testToken)...)
}

// An idle client needs less than 8 MB, whatever its function and its runs were like: the
// code is on disk, and what runs needed is given back.
func TestAnIdleClientNeedsLittleMemory(t *testing.T) {
	const most, size = 8 << 20, 40 << 20
	_, url := direct(t, testToken)
	noise := noisyZip(t, size)
	text := zipStored(t, map[string]string{"__main__.py": "def main(args):\n    return args\n", "text": strings.Repeat("words, and more words; ", size/4/23)})
	for name, code := range map[string][]byte{"sent raw": noise, "sent compressed": text} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			r := clientOf(t, url, temp, "__OW_ALLOW_CONCURRENT=true")
			pid := r.cmd.Process.Pid
			if status, b := r.post("/init", initBinary("main@box", code)); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			if n := anonMemory(t, pid); n > size*3/4 {
				t.Errorf("after /init it has %d MB in memory", n>>20)
			}
			if n := heldOnDisk(t, pid, temp); n != int64(len(code)) {
				t.Errorf("it keeps %d bytes on disk, the code has %d", n, len(code))
			}
			eventually(t, "little memory after /init", func() bool { return anonMemory(t, pid) < most })
			for _, size := range []int{0, 1 << 20} {
				runTogether(t, r, 16, strings.Repeat("x", size))
				eventually(t, fmt.Sprintf("little memory after runs of %d bytes", size), func() bool { return anonMemory(t, pid) < most })
			}
		})
	}
}

// runTogether makes n runs at a time, whose argument is text.
func runTogether(t *testing.T, r *container, n int, text string) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			want := `{"text":"` + text + `"}`
			if status, b := r.post("/run", runBody(want, "id", time.Now().Add(patience))); status != 200 || strings.ReplaceAll(b, `": "`, `":"`) != want {
				t.Errorf("/run: %d, %d bytes for %d", status, len(b), len(want))
			}
		})
	}
	all.Wait()
}

// Nothing of a client is left on disk, however it ends and whatever it was doing.
func TestAClientLeavesNothingOnDisk(t *testing.T) {
	_, url := direct(t, testToken)
	code := noisyZip(t, 4<<20)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for name, busy := range map[string]func(t *testing.T, r *container, temp string) (finish func()){
			"idle":           func(*testing.T, *container, string) func() { return func() {} },
			"during an init": halfOf("/init", initBinary("main@box", code)),
			"during a run":   halfOf("/run", runBody(`{"x":"`+strings.Repeat("x", 12<<20)+`"}`, "id", time.Now().Add(patience))),
		} {
			t.Run(fmt.Sprintf("%v %s", signal, name), func(t *testing.T) {
				temp := t.TempDir()
				r := clientOf(t, url, temp)
				if name != "during an init" {
					if status, b := r.post("/init", initBinary("main@box", code)); status != 200 {
						t.Fatalf("/init: %d %s", status, b)
					}
				}
				finish := busy(t, r, temp)
				r.cmd.Process.Signal(signal)
				finish()
				<-r.ended
				if left, _ := os.ReadDir(temp); len(left) != 0 {
					t.Errorf("it left %v", left)
				}
			})
		}
	}
}

// halfOf sends the first half of a request's body, and waits until the runtime has that
// on disk. finish ends the request.
func halfOf(path, body string) func(t *testing.T, r *container, temp string) (finish func()) {
	return func(t *testing.T, r *container, temp string) func() {
		half := len(body) / 2
		in, out := io.Pipe()
		done := make(chan struct{})
		before := heldOnDisk(t, r.cmd.Process.Pid, temp)
		go func() {
			defer close(done)
			if resp, err := http.Post(r.url+path, "application/json", in); err == nil {
				resp.Body.Close()
			}
		}()
		if _, err := out.Write([]byte(body[:half])); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the half is on disk", func() bool { return heldOnDisk(t, r.cmd.Process.Pid, temp) > before })
		return func() {
			out.CloseWithError(errors.New("enough"))
			<-done
		}
	}
}
