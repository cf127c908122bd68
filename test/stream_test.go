package test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Item n+1 is made only when item n is at the caller.
func TestItemsReachTheCallerOneByOne(t *testing.T) {
	eachStream(t, func(t *testing.T, c *container, dir string) {
		r := read(t, c.url+"/run", "text/event-stream", streamBody(dir, `,"step":true,"last":4`))
		for n := 1; n <= 4; n++ {
			r.item(n)
			if made, _ := os.ReadFile(dir + "/made"); string(made) != fmt.Sprint(n) {
				t.Errorf("%s items are made when item %d comes", made, n)
			}
			os.WriteFile(fmt.Sprint(dir, "/", n), nil, 0o666)
		}
		r.wantEnd("ok", 4)
		if !strings.Contains(r.resp.Trailer.Get("Server-Timing"), "function;dur=") {
			t.Errorf("the trailers are %v", r.resp.Trailer)
		}
		// It was written before the answer's end, but comes to us by another pipe.
		eventually(t, "the guard line", func() bool { return strings.Count(strings.Join(c.lines(), "\n"), guard) > 0 })
		if n := strings.Count(strings.Join(c.lines(), "\n"), guard); n != 1 {
			t.Errorf("%d guard lines at the end of the answer", n)
		}
		status, b := c.post("/run", streamBody(dir, `,"last":3`))
		var whole struct{ Items []struct{ N int } }
		if json.Unmarshal([]byte(b), &whole); status != 200 || fmt.Sprint(whole.Items) != "[{1} {2} {3}]" {
			t.Errorf("as one object: %d %s", status, b)
		}
	})
}

// Who leaves an endless stream ends it, and its worker serves the next run.
func TestReaderWhoLeavesStopsTheGenerator(t *testing.T) {
	eachStream(t, func(t *testing.T, c *container, dir string) {
		worker := ""
		for n := 1; n <= 3; n++ {
			r := read(t, c.url+"/run", "text/event-stream", streamBody(dir, `,"size":10000`))
			for i := 1; i <= n*n; i++ {
				worker = r.item(i)
			}
			r.leave()
			eventually(t, "the generator is closed", func() bool { return exists(dir + "/closed") })
			os.Remove(dir + "/closed")
			if status, b := c.post("/run", runBody(`{}`, "id", time.Now().Add(time.Minute))); status != 200 || !strings.Contains(b, worker) {
				t.Errorf("the next run answers %d %s; the stream's worker was %s", status, b, worker)
			}
		}
	})
}

// A reader who takes nothing makes the generator wait, and no part of the way keeps what it makes.
func TestReaderWhoTakesNothingFillsNoMemory(t *testing.T) {
	const items, size, bound = 2000, 100_000, 120 << 20 // 200 MB in all; Node.js itself has 45
	eachStream(t, func(t *testing.T, c *container, dir string) {
		r := read(t, c.url+"/run", "text/event-stream", streamBody(dir, fmt.Sprintf(`,"size":%d,"last":%d`, size, items)))
		r.item(1)
		for last := ""; ; {
			made, _ := os.ReadFile(dir + "/made")
			if string(made) == fmt.Sprint(items) {
				t.Fatal("all items were made although nobody reads them")
			}
			if last != "" && string(made) == last {
				break // it waits; if it was only slow, the test has seen less
			}
			last = string(made)
			time.Sleep(500 * time.Millisecond)
		}
		most := int64(0)
		for pid, peak := range peaks() {
			if most = max(most, peak); peak > bound {
				t.Errorf("process %s has used %d MB", pid, peak>>20)
			}
		}
		made, _ := os.ReadFile(dir + "/made")
		t.Logf("%s of %d items were made; no process used more than %d MB", made, items, most>>20)
		if !slow() { // else it counts as one who has left after 10 s, or 30
			r.leave()
		}
		eventually(t, "the generator is closed", func() bool { return exists(dir + "/closed") })
	})
}

// Where streams overlap in one process, one that ends or waits leaves the others alone.
func TestOverlappingStreamsAreApart(t *testing.T) {
	share := shared(t)
	p := streamPlaces(t, share)[2]
	for _, s := range streamers {
		t.Run(s.name, func(t *testing.T) {
			if s.name == "node" {
				t.Skip("its generator does not wait by itself: nothing can overlap while it waits for a file")
			}
			c := startRuntime(t, append(p.env, "WHISKAWAY_KIND="+s.kind, "__OW_ALLOW_CONCURRENT=true")...)
			if status, b := c.post("/init", initBody(p.main, s.code, nil)); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			dirs := [3]string{openDir(t, share), openDir(t, share), openDir(t, share)}
			stepping := read(t, c.url+"/run", "text/event-stream", streamBody(dirs[0], `,"step":true,"last":3`))
			worker := stepping.item(1)
			idle := read(t, c.url+"/run", "text/event-stream", streamBody(dirs[1], `,"size":100000`)) // takes nothing
			leaving := read(t, c.url+"/run", "text/event-stream", streamBody(dirs[2], ``))
			if w := leaving.item(1); w != worker || idle.item(1) != worker {
				t.Fatal("they do not overlap")
			}
			leaving.leave()
			eventually(t, "a generator is closed", func() bool { return exists(dirs[2] + "/closed") })
			for n := 1; n <= 3; n++ {
				os.WriteFile(fmt.Sprint(dirs[0], "/", n), nil, 0o666)
				if n < 3 {
					stepping.item(n + 1)
				}
			}
			stepping.wantEnd("ok", 3)
			if exists(dirs[1] + "/closed") {
				t.Error("a stream that waits for its reader was closed")
			}
			idle.leave()
			eventually(t, "the last generator is closed", func() bool { return exists(dirs[1] + "/closed") })
		})
	}
}

// What the last item says, and how a stream ends otherwise.
func TestEndsOfStreams(t *testing.T) {
	share := shared(t)
	for _, p := range streamPlaces(t, share) {
		for _, c := range []struct {
			name, kind, code    string
			status              int
			object, event, data string
			outcome             string
		}{
			{"python returns", "python:3", "def main(args):\n    yield 1\n    return {'n': 12345678901234567890}\n", 200,
				`{"n":12345678901234567890}`, "result", `{"result":{"n":12345678901234567890}}`, "ok"},
			{"python yields the result", "python:3", "async def main(args):\n    yield 1\n    yield {'result': [1, 2]}\n", 200,
				`[1,2]`, "result", `{"result":[1,2]}`, "ok"},
			{"node returns", "nodejs:20", "exports.main = async function * () { yield 1; return { a: 1 } }", 200, `{"a":1}`, "result", `{"result":{"a":1}}`, "ok"},
			{"python raises", "python:3", "def main(args):\n    yield 1\n    raise ValueError('no')\n", 200,
				`{"error":"ValueError: no"}`, "error", `{"error":"ValueError: no"}`, "application_error"},
			{"node throws", "nodejs:20", "exports.main = function * () { yield 1; throw new Error('no') }", 200,
				`{"error":"Error: no"}`, "error", `{"error":"Error: no"}`, "application_error"},
			{"python crashes", "python:3", "import os\ndef main(args):\n    yield 1\n    os._exit(3)\n", 502,
				`exited with code 3`, "error", `exited with code 3`, "crashed"},
			{"node runs out of time", "nodejs:20", "exports.main = async function * () { yield 1; await new Promise(resolve => process.whiskaway.signal.addEventListener('abort', resolve)) }", 502,
				`time limit`, "error", `time limit`, "timeout"},
		} {
			t.Run(p.name+" "+c.name, func(t *testing.T) {
				r := startRuntime(t, append(p.env, "WHISKAWAY_KIND="+c.kind)...)
				if status, b := r.post("/init", initBody(p.main, c.code, nil)); status != 200 {
					t.Fatalf("/init: %d %s", status, b)
				}
				limit := patience
				if c.outcome == "timeout" {
					limit = 4 * time.Second // more than a first item takes
				}
				items := read(t, r.url+"/run", "text/event-stream", runBody(`{}`, "id", time.Now().Add(limit)))
				if name, data := items.event(); name != "" || data != "1" {
					t.Errorf("event %q, %s", name, data)
				}
				name, data := items.event()
				if name != c.event || !strings.Contains(data, c.data) {
					t.Errorf("event %q, %s; want %q, %s", name, data, c.event, c.data)
				}
				made := 2
				if c.status != 200 {
					made = 1
				}
				items.wantEnd(c.outcome, made)
				if c.outcome == "timeout" {
					return // it would take as long again
				}
				status, b := r.post("/run", runBody(`{}`, "id", time.Now().Add(limit)))
				if status != c.status || !strings.Contains(b, c.object) || c.status == 200 && b != c.object {
					t.Errorf("as one object: %d %s; want %d %s", status, b, c.status, c.object)
				}
			})
		}
	}
}

// With a token, curl can stream from a server itself.
func TestServerStreamsToWhoAsks(t *testing.T) {
	d := startSolo(t)
	code := "def main(args):\n    print('a log')\n    yield args\n    yield {'n': 2}\n"
	g := d.init(specOf("python:3", code), code)
	url := d.waitFor(`server listening on (\S+)`)
	header := []string{"Authorization", "Bearer " + soloToken, "Whiskaway-Function", g.id.String(), "Whiskaway-Lease", g.claim.Lease}
	r := read(t, url+"/run", "application/x-ndjson", `{"value":{"n":1}}`, header...)
	if b, err := io.ReadAll(r.in); err != nil || string(b) != "{\"n\":1}\n{\"n\":2}\n" {
		t.Errorf("%q, %v", b, err)
	}
	header[5] = "another"
	r = read(t, url+"/run", "application/x-ndjson", `{"value":{"n":1}}`, header...)
	if b, _ := io.ReadAll(r.in); r.resp.Header.Get("Whiskaway-Started") != "no" || !strings.Contains(string(b), string(function.CodeUnknownFunction)) {
		t.Errorf("without its lease: %d %s", r.resp.StatusCode, b)
	}
}
