package balancer

// A tally counts the runs at a member, or of one function there: ours, which we know at
// every moment, and those of other balancers and clients, which only reports tell.
type tally struct {
	ours   int
	others int // by the last report
	peak   int // the most of ours since then
}

func (t *tally) load() int { return t.ours + t.others }

func (t *tally) sent() {
	t.ours++
	t.peak = max(t.peak, t.ours)
}

func (t *tally) ended() { t.ours-- }

// reported takes over how many runs there are in all, by a report. That is some moments old, and
// how many of them were ours is not known. It counts with the most that there were: too few
// others do less harm than some who are not there, since those would keep slots empty.
func (t *tally) reported(all int) {
	t.others = max(0, all-t.peak)
	t.peak = t.ours
}
