package worker_test

import (
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

func BenchmarkRunPython(b *testing.B) { benchmarkRun(b, kind.Python, echoPython) }
func BenchmarkRunNode(b *testing.B)   { benchmarkRun(b, kind.NodeJS, echoNode) }

func benchmarkRun(b *testing.B, name, code string) {
	w := start(b, name, code)
	act := &function.Activation{Body: function.BytesBody([]byte(`{"value":{"name":"world"},"activation_id":"0123456789abcdef"}`)), Timeout: worker.DefaultStartTimeout}
	answers := 0
	out := function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Result && string(p) == `{"name":"world"}` {
			answers++
		}
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		if sum, err := w.Run(b.Context(), act, out); err != nil || sum.Outcome != function.OutcomeOK {
			b.Fatal(sum, err)
		}
	}
	b.StopTimer()
	if answers != b.N {
		b.Fatalf("%d good answers to %d runs", answers, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
