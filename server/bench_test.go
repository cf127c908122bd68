package server_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// Runs of a function that does nothing, in real Python workers. "workers" is
// how many there were in the end.
func BenchmarkRunPython(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			h := open(b)
			id := h.init(python(nil))
			left := atomic.Int64{}
			left.Store(int64(b.N))
			act := activation(`{}`, patience)
			silent := function.OutputFunc(func(function.Stream, []byte) error { return nil })
			done := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					for left.Add(-1) >= 0 {
						if _, err := h.Run(b.Context(), id, h.claim[id], act, silent); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.StopTimer()
			st := h.status("it", func(function.Status) bool { return true })
			b.ReportMetric(float64(st.Servers[0].Workers), "workers")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
		})
	}
}
