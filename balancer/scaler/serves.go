package scaler

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// Serves says how long something with these labels (sorted) and this kind may wait
// for a server that is started for it; false when none would be. It takes no lock.
func (s *Scaler) Serves(labels []string, kind string) (time.Duration, bool) {
	now := time.Now()
	for _, p := range s.pools {
		if p.serves(labels) && !p.isLacking(kind, now) && now.UnixNano() >= p.closed.Load() {
			return s.cfg.StartTimeout, true
		}
	}
	return 0, false
}

// Trouble says why no server has come for these labels, as far as it is known: a
// part of a sentence for clients, or nothing.
func (s *Scaler) Trouble(labels []string) string {
	var all []string
	for _, p := range s.pools {
		if why := p.trouble.Load(); why != nil && p.serves(labels) {
			all = append(all, fmt.Sprintf("the scaler for %s: %s", p.Name(), *why))
		}
	}
	return strings.Join(all, "; ")
}

// explain keeps what Trouble says about pools that are as large as they may be.
func (s *Scaler) explain(view snapshot, now time.Time) {
	full := fmt.Sprintf("there are %d servers already, which is the limit (--scale-max)", s.cfg.Max)
	for i, p := range s.pools {
		why := p.trouble.Load()
		was := why != nil && *why == full
		switch is := view.pools[i].lacks(view, now) > 0 && total(view) >= s.cfg.Max; {
		case is && !was:
			p.say(full)
		case !is && was:
			p.trouble.Store(nil)
		}
	}
}

// serves reports whether the pool's servers have all those labels.
func (p *pool) serves(labels []string) bool { return has(p.Labels, labels) }

const (
	lackFor  = 10 * time.Minute // how long a kind is believed to be lacking; servers are improved at times
	lackMost = 1000             // kinds, as clients may ask for any
)

// lack notes that the pool's servers do not have the kind.
func (p *pool) lack(kind string, now time.Time) {
	old := p.lacks.Load()
	kinds := map[string]time.Time{}
	if old != nil && len(*old) < lackMost {
		kinds = maps.Clone(*old) // who reads the old one is not disturbed
	}
	kinds[kind] = now.Add(lackFor)
	p.lacks.Store(&kinds)
}

func (p *pool) isLacking(kind string, now time.Time) bool {
	kinds := p.lacks.Load()
	return kinds != nil && now.Before((*kinds)[kind])
}
