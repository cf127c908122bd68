package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each of these streams in one of its kind's ways. It writes how many items it has made
// to args.dir/made, and when it is closed, args.dir/closed. With args.step it waits
// after item n for the file n, and it ends after args.last.
var streamers = []struct{ name, kind, code string }{
	{"python", "python:3", pythonStream("def", "time.sleep")},
	{"python async", "python:3", pythonStream("async def", "await asyncio.sleep")},
	{"node", "nodejs:20", nodeStream("function *", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)")},
	{"node async", "nodejs:20", nodeStream("async function *", "await new Promise(resolve => setTimeout(resolve, 2))")},
}

func pythonStream(def, sleep string) string {
	return `
import asyncio, os, time, uuid
worker = uuid.uuid4().hex
def main(args):
    return items(**args) if "dir" in args else {"worker": worker}
` + def + ` items(dir, last=None, step=False, size=0, **_):
    n = 0
    try:
        while n != last:
            n += 1
            with open(dir + "/made", "w") as f: f.write(str(n))
            yield {"n": n, "worker": worker, "pad": "x" * size}
            while step and not os.path.exists(f"{dir}/{n}"): ` + sleep + `(0.002)
    finally:
        open(dir + "/closed", "w").close()
`
}

func nodeStream(def, sleep string) string {
	return `
const fs = require('fs')
const worker = require('crypto').randomUUID()
exports.main = args => args.dir ? items(args) : { worker }
` + def + ` items ({ dir, last, step, size = 0 }) {
  let n = 0
  try {
    while (n !== last) {
      fs.writeFileSync(dir + '/made', String(++n))
      yield { n, worker, pad: 'x'.repeat(size) }
      while (step && !fs.existsSync(dir + '/' + n)) ` + sleep + `
    }
  } finally {
    fs.writeFileSync(dir + '/closed', '')
  }
}
`
}

// A place is where the streaming functions run.
type place struct {
	name, main string
	env        []string
}

// streamPlaces are a runtime alone, and one behind which are a balancer and a server.
func streamPlaces(t *testing.T, share string) []place {
	s := startStandalone(t, t.TempDir())
	s.startServer("llm", t.TempDir(), "--share", share)
	far := []string{"WHISKAWAY_BALANCER=" + s.balancer, "WHISKAWAY_TOKEN=" + s.token("client")}
	return []place{{"local", "main", nil}, {"client", "main@llm", far}, {"client, overlapping", "main@llm?concurrency=4", far}}
}

// eachStream runs test with a container for each way to stream, in each place.
func eachStream(t *testing.T, test func(t *testing.T, c *container, dir string)) {
	share := shared(t)
	for _, p := range streamPlaces(t, share) {
		for _, s := range streamers {
			t.Run(p.name+" "+s.name, func(t *testing.T) {
				c := startRuntime(t, append(p.env, "WHISKAWAY_KIND="+s.kind, "__OW_ALLOW_CONCURRENT=true")...)
				if status, b := c.post("/init", initBody(p.main, s.code, map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f"})); status != 200 {
					t.Fatalf("/init: %d %s", status, b)
				}
				test(t, c, openDir(t, share))
			})
		}
	}
}

// openDir makes a directory that every user may write to.
func openDir(t *testing.T, in string) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "stream")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A reading is a stream on its way to a reader.
type reading struct {
	t     *testing.T
	resp  *http.Response
	in    *bufio.Reader
	leave context.CancelFunc
}

// read asks for url with a reader's Accept, over a connection of its own.
func read(t *testing.T, url, accept, body string, header ...string) *reading {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &reading{t: t, resp: resp, in: bufio.NewReader(resp.Body), leave: leave}
}

// event reads an event, or fails.
func (r *reading) event() (name, data string) {
	r.t.Helper()
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			r.t.Fatalf("the stream was cut: %v", err)
		}
		switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); {
		case key == "event":
			name = value
		case key == "data":
			data = value
		case line == "\n" && data != "":
			return name, data
		}
	}
}

// item reads an event that is item n, and returns the worker that made it.
func (r *reading) item(n int) (worker string) {
	r.t.Helper()
	var item struct {
		N      int
		Worker string
	}
	name, data := r.event()
	if err := json.Unmarshal([]byte(data), &item); err != nil || name != "" || item.N != n {
		r.t.Fatalf("event %q, %.100s; want item %d", name, data, n)
	}
	return item.Worker
}

func (r *reading) wantEnd(outcome string, items int) {
	r.t.Helper()
	name, data := r.event()
	stream := ""
	if outcome == "ok" || outcome == "application_error" {
		stream = `"stream":true,`
	}
	if want := fmt.Sprintf(`{"outcome":"%s",%s"items":%d}`, outcome, stream, items); name != "end" || data != want {
		r.t.Errorf("event %q, %s; want the end %s", name, data, want)
	}
	if rest, err := io.ReadAll(r.in); err != nil || len(rest) > 0 {
		r.t.Errorf("%q behind the end, %v", rest, err)
	}
}

func streamBody(dir, more string) string {
	return runBody(`{"dir":"`+dir+`"`+more+`}`, "id", time.Now().Add(10*time.Minute))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// peaks returns the peak resident memory of all descendants of this process, in bytes.
func peaks() map[string]int64 {
	parents, peaks := map[string]string{}, map[string]int64{}
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		pid := filepath.Base(filepath.Dir(file))
		for line := range strings.Lines(string(text)) {
			var kb int64
			if name, value, _ := strings.Cut(line, ":"); name == "PPid" {
				parents[pid] = strings.TrimSpace(value)
			} else if name == "VmHWM" {
				fmt.Sscan(value, &kb)
				peaks[pid] = kb << 10
			}
		}
	}
	ours := map[string]int64{}
	for pid := range peaks {
		for p := parents[pid]; p != ""; p = parents[p] {
			if p == fmt.Sprint(os.Getpid()) {
				ours[pid] = peaks[pid]
			}
		}
	}
	return ours
}
