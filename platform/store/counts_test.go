package store

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever is asked for, lists and counts are what they would be if each record
// were looked at: also after records were replaced and removed.
func TestListsAndCountsAreRight(t *testing.T) { onEach(t, testListsAndCountsAreRight) }

func testListsAndCountsAreRight(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	random := rand.New(rand.NewPCG(7, 1))
	begin := int64(1_790_000_000_000) / hour * hour
	const hours, records = 6, 3000
	var model []*Activation // in the order in which they came
	for i := range records {
		a := activation(i)
		a.Start = begin + random.Int64N(hours*hour)/1000*1000 // many at the same moment
		if random.IntN(20) == 0 {
			a.Start = begin + random.Int64N(hours)*hour - random.Int64N(2) // at an hour's border
		}
		if random.IntN(20) == 0 && i > 0 { // a record that is there, anew: it keeps its place among those of its moment
			if err := s.writer.flush(ctx, "guest"); err != nil {
				t.Fatal(err)
			}
			a.ID = model[random.IntN(len(model))].ID
		}
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
		if same := slices.IndexFunc(model, func(m *Activation) bool { return m.ID == a.ID }); same >= 0 {
			model[same] = a
		} else {
			model = append(model, a)
		}
	}
	compare := func() {
		t.Helper()
		for range 200 {
			f := Filter{Namespace: "guest", Limit: 1 + random.IntN(40), Skip: random.IntN(records + 100)}
			if random.IntN(2) == 0 {
				f.Since = begin + random.Int64N(hours*hour)
			}
			if random.IntN(2) == 0 {
				f.Upto = begin + random.Int64N(hours*hour)
			}
			if random.IntN(4) == 0 {
				f.Since = begin + random.Int64N(hours)*hour + random.Int64N(3) - 1
			}
			if random.IntN(4) == 0 {
				f.Upto = begin + random.Int64N(hours)*hour + random.Int64N(3) - 1
			}
			if random.IntN(5) == 0 {
				f.Path = "a1"
			}
			checkFilter(t, s, f, model)
		}
	}
	compare()
	before := time.UnixMilli(begin + 2*hour + hour/2)
	if err := s.removeBefore(ctx, before); err != nil {
		t.Fatal(err)
	}
	model = slices.DeleteFunc(model, func(a *Activation) bool { return a.Start < before.UnixMilli() })
	compare()
	if err := s.removeBefore(ctx, time.UnixMilli(begin+hours*hour)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.reader().count(ctx, " FROM activation_counts"); n != 0 || err != nil {
		t.Errorf("%d counts of nothing are left, %v", n, err)
	}
}

func checkFilter(t *testing.T, s *Database, f Filter, model []*Activation) {
	t.Helper()
	var want []string
	chosen := slices.Clone(model)
	slices.Reverse(chosen)
	slices.SortStableFunc(chosen, func(a, b *Activation) int { return int(b.Start - a.Start) })
	for _, a := range chosen {
		if (f.Since == 0 || a.Start >= f.Since) && (f.Upto == 0 || a.Start <= f.Upto) && (f.Path == "" || a.Path == f.Path) {
			want = append(want, a.ID)
		}
	}
	if n, err := s.CountActivations(t.Context(), f); err != nil || n != len(want) {
		t.Errorf("%+v: %d records, %v; want %d", f, n, err, len(want))
	}
	want = want[min(f.Skip, len(want)):min(f.Skip+f.Limit, len(want))]
	list, err := s.Activations(t.Context(), f)
	var got []string
	for _, a := range list {
		got = append(got, a.ID)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v: %v, %v; want %v", f, got, err, want)
	}
}
