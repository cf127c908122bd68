package placement

import (
	"testing"
	"time"
)

func TestQuietHosts(t *testing.T) {
	tests := []struct {
		name    string
		silence time.Duration
		sent    int // runs, meanwhile
		rtt     time.Duration
		quiet   bool
	}{
		{"a moment", 400 * time.Millisecond, 100, 0, false},
		{"much was sent", 600 * time.Millisecond, 9, 0, true},
		{"little was sent", 600 * time.Millisecond, 8, 0, false},
		{"the way is long", 600 * time.Millisecond, 100, 100 * time.Millisecond, false},
		{"a report's time", 2 * time.Second, 0, 0, false},
		{"longer than a report's time", 3100 * time.Millisecond, 0, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &Host{CPUs: 4, RTT: tt.rtt}
			h.Heard(testNow.Add(-tt.silence))
			h.Load += tt.sent
			f := &Function{}
			f.Add(&Site{Host: h, State: Ready, Slots: 1000})
			d := Place(SnapshotOf([]*Host{h}), f, Request{Waiting: 1}, testNow)
			if quiet := d.Verdict != Run; quiet != tt.quiet {
				t.Errorf("verdict %v, want it to count as quiet: %v", d.Verdict, tt.quiet)
			}
			h.Heard(testNow)
			if d := Place(SnapshotOf([]*Host{h}), f, Request{Waiting: 1}, testNow); d.Verdict != Run {
				t.Errorf("it was heard again, and the verdict is %v", d.Verdict)
			}
		})
	}
}

func TestAHostOfWhichNobodySaysWhenItWasHeardIsNotQuiet(t *testing.T) {
	h := &Host{Load: 1000}
	if h.quiet(testNow) {
		t.Error("quiet")
	}
}
