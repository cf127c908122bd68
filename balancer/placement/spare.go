package placement

import "time"

// When a further site of a function is given up again; design.md says why these.
const (
	spareAfter = time.Minute // unused for so long
	spareStart = 10          // and for so many times what a start there takes
	spareLoad  = 0.5         // and the others would be used to at most so much of their width
)

// Spare returns a ready site that the function does not need any more, or nil: the last one by rank of those
// that nobody has used for some time, if the others are far from busy. It is never the only one. Sites at hosts
// that drain count as any: the owner is to remove them first, or to leave the function alone.
func Spare(f *Function, now time.Time) *Site {
	p := price(f)
	var spare *Site
	var load, width float64
	for _, s := range f.Sites {
		if s.State != Ready || !s.Host.asideTill(now).IsZero() {
			continue // what is set aside is no help to the others
		}
		load += float64(s.Load)
		width += p.width(s)
		if p.idle(s, now) && (spare == nil || Rank(f, s.Host) < Rank(f, spare.Host)) {
			spare = s
		}
	}
	if spare == nil {
		return nil
	}
	left := width - p.width(spare)
	if left <= 0 || load > spareLoad*left {
		return nil
	}
	return spare
}

// idle reports whether the site has not been used for so long that it may go. What takes long to start is kept longer.
func (p *pricer) idle(s *Site, now time.Time) bool {
	used := s.UsedAt
	if s.Began.After(used) {
		used = s.Began
	}
	keep := max(spareAfter, inSeconds(spareStart*p.startTime(s.Host, Prepared, 1)))
	return s.Load == 0 && now.Sub(used) >= keep
}
