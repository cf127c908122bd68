package worker_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/kind"
)

// A process whose runs have ids does not grow with each of them: the C library would keep every
// value that an environment variable ever had.
func TestRunsWithIdsDoNotGrowTheProcess(t *testing.T) {
	w := start(t, kind.Python, `import os, subprocess
def main(args):
    if not args.get("look"):
        return {}
    rss = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
    child = subprocess.run(["/bin/sh", "-c", "echo $__OW_ACTIVATION_ID"], capture_output=True, text=True).stdout.strip()
    return {"kb": rss, "own": os.environ["__OW_ACTIVATION_ID"], "child": child}
`)
	look := func(n int, id string) int {
		t.Helper()
		out, _ := run(t, w, fmt.Sprintf(`{"value":{"look":true},"activation_id":%q,"deadline":"%d"}`, id, n))
		var seen struct {
			KB         int
			Own, Child string
		}
		if err := json.Unmarshal([]byte(out.result()), &seen); err != nil {
			t.Fatalf("%v: %s", err, out.result())
		}
		if seen.Own != id || seen.Child != id {
			t.Errorf("run %d: the function saw %.50q, its child %.50q, want %.50q", n, seen.Own, seen.Child, id)
		}
		return seen.KB
	}
	runs := func(from, to int) {
		for n := from; n < to; n++ {
			run(t, w, fmt.Sprintf(`{"value":{},"activation_id":"%032d","transaction_id":"%032d","deadline":"%d"}`, n, n, n))
		}
	}
	look(0, "first")
	runs(1, 3000) // by then it has changed its way
	before := look(3000, "in place")
	look(3001, strings.Repeat("long", 1000))
	look(3002, "é\"$x")
	runs(3003, 13_000)
	if grown := look(13_000, "last") - before; grown > 700 { // otherwise about 2,400
		t.Errorf("10,000 runs took %d kB", grown)
	}
}
