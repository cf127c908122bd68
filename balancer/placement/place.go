package placement

import "time"

// A Snapshot is where functions of one class (the same kind and labels) can run: the
// hosts that are connected, do not drain, and have the labels and the kind. Its owner makes it anew when
// that changes, not for each run.
type Snapshot struct {
	Hosts []*Host
}

// A Request is the run at the head of a function's queue. The whole queue stands behind it.
type Request struct {
	Tried   []*Host       // hosts that refused this run
	Waited  time.Duration // for how long it has waited in the queue
	Waiting int           // runs in the queue, this one included; at least 1
}

// A Verdict says what Place decided.
type Verdict int

// The verdicts.
const (
	Run    Verdict = iota // run at Decision.Site, which is Ready and has a free slot
	Wait                  // stay in the queue until something changes, or until Decision.Until
	NoRoom                // every host lacks room, has its breaker open or refused; nothing of it is on its way
	NoHost                // the snapshot has no host
)

// A Decision is what Place answers.
type Decision struct {
	Verdict Verdict
	Site    *Site     // for Run
	Start   *Host     // begin a start there as well; nil: none
	Until   time.Time // for Wait: when to ask again though nothing has changed; zero: never
}

// Place decides where the function's next run goes. See design.md.
func Place(s Snapshot, f *Function, r Request, now time.Time) Decision {
	panic("to be written")
}
