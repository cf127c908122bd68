package main

import "slices"

// A direct policy sends each run to a server at once, where it waits if need be, and where
// what it lacks is started: so do all the policies that ours is compared with.
type direct struct {
	*front
	picker  picker
	fitting [][]*member // by function.id: where it can be
	waiting []*run      // while no server is there
}

// A picker chooses a server for a run.
type picker interface {
	// pick chooses from those where the function can be; nil: none of them is usable.
	pick(r *run, from []*member) *member
}

// A releaser is a picker that counts what it gave out.
type releaser interface {
	released(r *run, m *member)
}

func newDirect(n *front, p picker) *direct {
	d := &direct{front: n, picker: p}
	for _, f := range n.trace.functions {
		d.fitting = append(d.fitting, n.fitting(f))
	}
	return d
}

// fitting are the members where a worker of the function can be at all.
func (n *front) fitting(f *function) (list []*member) {
	for _, m := range n.members {
		if m.server.fits(f) {
			list = append(list, m)
		}
	}
	return list
}

func (d *direct) arrived(r *run) {
	from := d.fitting[r.f.id]
	if m := d.picker.pick(r, from); m != nil {
		d.send(r, m)
		return
	}
	if slices.ContainsFunc(from, func(m *member) bool { return m.up }) {
		d.end(r, refused) // all of them refused it
		return
	}
	d.waiting = append(d.waiting, r)
	d.loop.at(r.deadline(), func() {
		if i := slices.Index(d.waiting, r); i >= 0 {
			d.waiting = slices.Delete(d.waiting, i, i+1)
			d.end(r, refused)
		}
	})
}

func (d *direct) answered(x *dispatch, a answer) {
	if c, ok := d.picker.(releaser); ok {
		c.released(x.run, x.member)
	}
	if a.busy {
		x.run.tried = append(x.run.tried, x.member)
		d.arrived(x.run)
	}
}

func (d *direct) joined(*member) {
	waiting := d.waiting
	d.waiting = nil
	for _, r := range waiting {
		d.arrived(r)
	}
}

func (d *direct) left(*member) {}

// usable reports whether a run can be sent to a member.
func (r *run) usable(m *member) bool { return m.up && !slices.Contains(r.tried, m) }
