package conformance

import (
	"flag"
	"os"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// binary is the program under test, built once. It is set before any test
// runs, and never changed.
var binary string

// atOnce is how many cases run at a time: they mostly wait for processes.
const atOnce = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", atOnce)
	os.Exit(harness.Main(m, "../..", func(built string) { binary = built }))
}
