package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// binary is the program under test, built once for all tests of this package.
// It is set before any test runs, and never changed.
var binary string

func TestMain(m *testing.M) {
	status := harness.Main(m, "..", func(built string) { binary = built })
	if err := database.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}
