package conformance

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/harness"
)

// ends are runs that do not end by an answer.
func ends() []testCase {
	dies := func(name, value, words string) testCase {
		return testCase{name: "end: " + name, on: ready, do: func(t *testing.T, c *container) {
			a := c.run(t, value)
			wantError(t, a, 502, words)
			if a.logs != [2]string{"last words\n", ""} {
				t.Errorf("the logs are %q", a.logs)
			}
			if n := count(t, c); n != 1 { // in a new process
				t.Errorf("the next run is number %d of its process", n)
			}
		}}
	}
	return []testCase{
		dies("the function exits", `{"do":"exit","code":3}`, "exited with code 3 without an answer"),
		dies("the function exits as if all were well", `{"do":"exit","code":0}`, "exited with code 0 without an answer"),
		dies("the function is killed", `{"do":"signal","signal":"SIGKILL"}`, "signal"),
		dies("the function is terminated", `{"do":"signal","signal":"SIGTERM"}`, "signal"),
		{name: "end: a loop to the time limit", on: ready, do: loop},
		{name: "end: the platform hangs up", on: ready, do: hangUp},
	}
}

// loop: the time limit is short at first, and longer where the machine needs it
// to begin the run in time.
func loop(t *testing.T, c *container) {
	var a answer
	for limit := 300 * time.Millisecond; limit < harness.Patience && !strings.HasPrefix(a.logs[0], "looping\n"); limit *= 2 {
		deadline := time.Now().Add(limit).UnixMilli()
		a = c.runBytes(t, c.runBody(`{"do":"loop"}`, fields{"deadline": fmt.Sprint(deadline)}))
	}
	wantError(t, a, 502, "The action was ended at its time limit; it had ")
	if !strings.HasPrefix(a.logs[0], "looping\n") {
		t.Errorf("the logs are %q", a.logs)
	}
	c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`)
}

// hangUp: the function notices, and the logs end.
func hangUp(t *testing.T, c *container) {
	file := filepath.Join(c.m.share, c.action()+".wait")
	has := func(text string) func() bool {
		return func() bool { b, _ := os.ReadFile(file); return string(b) == text }
	}
	conn := dial(t, c)
	body := c.runBody(fields{"do": "wait", "file": file}, nil)
	fmt.Fprintf(conn, "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
	io.WriteString(conn, body)
	harness.Eventually(t, "the function begins", has("begun"))
	conn.Close()
	harness.Eventually(t, "the function is told", has("cut"))
	c.expectGuards(t)
	c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`)
}
