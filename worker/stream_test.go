package worker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

// Each of these streams in one of its kind's ways. After item n it waits for the file
// n in args.dir, if there is a dir, and it ends after args.last. In the end it prints.
var streamers = []struct{ name, kind, code string }{
	{"python", kind.Python, `
import os, time
def main(args):
    if "quick" in args: return args
    return items(**args)
def items(last=None, dir=None, size=0):
    n = 0
    try:
        while n != last:
            n += 1
            yield {"n": n, "pad": "x" * size}
            while dir and not os.path.exists(f"{dir}/{n}"): time.sleep(0.002)
    finally:
        print("closed")
`},
	{"python async", kind.Python, `
import asyncio, os
def main(args):
    if "quick" in args: return args
    return items(**args)
async def items(last=None, dir=None, size=0):
    n = 0
    try:
        while n != last:
            n += 1
            yield {"n": n, "pad": "x" * size}
            while dir and not os.path.exists(f"{dir}/{n}"): await asyncio.sleep(0.002)
    finally:
        await asyncio.sleep(0.001)
        print("closed")
`},
	{"node", kind.NodeJS, `
const fs = require('fs')
function * items ({ last, dir, size = 0 }) {
  let n = 0
  try {
    while (n !== last) {
      n++
      yield { n, pad: 'x'.repeat(size) }
      while (dir && !fs.existsSync(dir + '/' + n)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  } finally {
    console.log('closed')
  }
}
exports.main = args => args.quick ? args : items(args)`},
	{"node async", kind.NodeJS, `
const fs = require('fs')
const sleep = require('timers/promises').setTimeout
async function * items ({ last, dir, size = 0 }) {
  let n = 0
  try {
    while (n !== last) {
      n++
      yield { n, pad: 'x'.repeat(size) }
      while (dir && !fs.existsSync(dir + '/' + n)) await sleep(2)
    }
  } finally {
    await sleep(1)
    console.log('closed')
  }
}
exports.main = args => args.quick ? args : items(args)`},
	{"node iterator", kind.NodeJS, `
const fs = require('fs')
const sleep = require('timers/promises').setTimeout
exports.main = ({ last, dir, size = 0, quick }) => {
  if (quick) return { quick }
  let n = 0, over = false
  return {
    [Symbol.asyncIterator] () { return this },
    async next () {
      while (dir && n && !over && !fs.existsSync(dir + '/' + n)) await sleep(2)
      if (over) return { done: true }
      if (n === last) { console.log('closed'); return { done: true } }
      return { value: { n: ++n, pad: 'x'.repeat(size) } }
    },
    async return () { over = true; console.log('closed'); return { done: true } }
  }
}`},
}

// eachStreamer runs test for each way to stream, one run at a time and overlapping.
func eachStreamer(t *testing.T, test func(t *testing.T, w *worker.Worker), knobs ...knob) {
	for _, s := range streamers {
		for _, n := range []int{1, 2} {
			t.Run(fmt.Sprint(s.name, " ", n), func(t *testing.T) {
				test(t, start(t, s.kind, s.code, append([]knob{patient, concurrency(n)}, knobs...)...))
			})
		}
	}
}

// Item n+1 is not made before item n has come.
func TestItemsComeAsTheyAreMade(t *testing.T) {
	eachStreamer(t, func(t *testing.T, w *worker.Worker) {
		dir, seen := t.TempDir(), 0
		rec := &recorder{}
		out := function.OutputFunc(func(s function.Stream, p []byte) error {
			if s == function.Result {
				seen++
				touch(t, filepath.Join(dir, fmt.Sprint(seen)))
			}
			return rec.Write(s, p)
		})
		act := &function.Activation{Body: function.BytesBody([]byte(value(`{"last":5,"dir":"` + dir + `"}`))), Timeout: time.Minute}
		sum, err := w.Run(t.Context(), act, out)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, sum, function.OutcomeOK, "")
		want(t, "result", rec.result(), `{"n":1,"pad":""}|{"n":2,"pad":""}|{"n":3,"pad":""}|{"n":4,"pad":""}|{"n":5,"pad":""}`)
		want(t, "stdout", rec.stdout.String(), "closed\n")
		if !sum.Stream {
			t.Error("it is no stream")
		}
	})
}

// A reader that leaves an endless stream ends it, and the worker goes on.
func TestReaderThatLeavesEndsTheStream(t *testing.T) {
	eachStreamer(t, func(t *testing.T, w *worker.Worker) {
		for i := range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			rec := &recorder{}
			out := function.OutputFunc(func(s function.Stream, p []byte) error {
				if s == function.Result && len(rec.results) == i*i {
					cancel()
				}
				return rec.Write(s, p)
			})
			sum, err := w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
			if err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, sum, function.OutcomeCancelled, "cancelled")
			want(t, "stdout", rec.stdout.String(), "closed\n")
			rec, sum = run(t, w, value(`{"quick":1}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
			want(t, "the next run's result", rec.result(), `{"quick":1}`)
			want(t, "the next run's stdout", rec.stdout.String(), "")
		}
	})
}

// While a generator waits for somebody to take its items, it can be ended as well.
func TestStreamThatIsHeldCanBeCut(t *testing.T) {
	eachStreamer(t, func(t *testing.T, w *worker.Worker) {
		ctx, cancel := context.WithCancel(t.Context())
		rec := &recorder{}
		out := function.OutputFunc(func(s function.Stream, p []byte) error {
			if s == function.Result && ctx.Err() == nil {
				settle(t, w)
				cancel()
			}
			if s == function.Result {
				return nil
			}
			return rec.Write(s, p)
		})
		sum, err := w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(value(`{"size":50000}`)))}, out)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, sum, function.OutcomeCancelled, "cancelled")
		want(t, "stdout", rec.stdout.String(), "closed\n")
		_, sum = run(t, w, value(`{"quick":1}`))
		wantOutcome(t, sum, function.OutcomeOK, "")
	})
}

// settle waits until the function has stopped making items: it uses no CPU time any more.
func settle(t *testing.T, w *worker.Worker) {
	deadline := time.Now().Add(time.Minute)
	for last := -1; ; {
		now := cpuTicks(w.Pid())
		if now == last {
			return
		}
		if last = now; time.Now().After(deadline) {
			t.Fatal("the function goes on although nobody takes its items")
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// cpuTicks is the CPU time of all processes below pid, in clock ticks.
func cpuTicks(pid int) int {
	sum := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, ticks := map[int]int{}, map[int]int{}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var id, parent, user, system, skip int
		fmt.Sscan(string(data), &id)
		rest := string(data[strings.LastIndexByte(string(data), ')')+4:])
		fmt.Sscan(rest, &parent, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system)
		parents[id], ticks[id] = parent, user+system
	}
	for id := range ticks {
		for p := id; p > 1; p = parents[p] {
			if p == pid {
				sum += ticks[id]
				break
			}
		}
	}
	return sum
}

// Many times more is made than may wait anywhere, by a function that is faster than its reader.
func TestSlowReaderGetsTheWholeStream(t *testing.T) {
	eachStreamer(t, func(t *testing.T, w *worker.Worker) {
		const items, size = 150, 100_000
		next, waits := 1, 0
		out := function.OutputFunc(func(s function.Stream, p []byte) error {
			if s != function.Result {
				return nil
			}
			if prefix := fmt.Sprintf(`{"n":%d,`, next); !strings.HasPrefix(string(p), prefix) {
				t.Errorf("item %d begins with %.20q", next, p)
			}
			next++
			if waits++; waits%2 == 0 {
				time.Sleep(20 * time.Millisecond) // slower than the function, and longer in all than a queue would wait
			}
			return nil
		})
		act := &function.Activation{Body: function.BytesBody([]byte(value(fmt.Sprintf(`{"last":%d,"size":%d}`, items, size))))}
		sum, err := w.Run(t.Context(), act, out)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, sum, function.OutcomeOK, "")
		if next != items+1 {
			t.Errorf("%d items came", next-1)
		}
	})
}

// An item above the limit ends the stream: a reader must not miss it unseen.
func TestItemAboveTheLimitEndsTheStream(t *testing.T) {
	eachStreamer(t, func(t *testing.T, w *worker.Worker) {
		out, sum := run(t, w, value(`{"size":2000}`))
		wantOutcome(t, sum, function.OutcomeTooLarge, "limit of 1000 bytes")
		want(t, "result", out.result(), "")
		want(t, "stdout", out.stdout.String(), "closed\n")
		_, sum = run(t, w, value(`{"quick":1}`))
		wantOutcome(t, sum, function.OutcomeOK, "")
	}, func(c *worker.Config) { c.ResultLimit = 1000 })
}
