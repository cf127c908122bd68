package worker_test

import (
	"testing"

	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

func TestUsagesAreEachWorkersOwn(t *testing.T) {
	small := start(t, kind.Python, echoPython)
	large := start(t, kind.Python, "kept = b'x' * 200_000_000\n"+echoPython)
	usages := worker.Usages([]*worker.Worker{large, small}, 0)
	if usages[0].Memory < usages[1].Memory+190_000_000 {
		t.Errorf("got %+v", usages)
	}
}
