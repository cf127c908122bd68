package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
)

// To count records, or to skip many, is quick since the table activation_counts has
// how many began in each hour. Whoever adds or removes records changes it in the
// same transaction, by tally.

// hour is the length of what is counted together, in milliseconds.
const hour = 3_600_000

// A tally is by how much the counts change.
type tally map[tallied]int64

type tallied struct {
	namespace string
	hour      int64 // since 1970
}

func (t tally) add(namespace string, start, n int64) { t[tallied{namespace, hourOf(start)}] += n }

// hourOf is the hour that a time belongs to.
func hourOf(ms int64) int64 {
	if ms < 0 {
		return -((-ms + hour - 1) / hour)
	}
	return ms / hour
}

// write changes the counts, always in the same order: two who write at the same
// time then wait for each other, but never in a circle.
func (t tally) write(ctx context.Context, tx queryer) error {
	keys := slices.SortedFunc(maps.Keys(t), func(a, b tallied) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.hour, b.hour))
	})
	for _, k := range keys {
		if t[k] == 0 {
			continue
		}
		_, err := tx.exec(ctx, `INSERT INTO activation_counts (namespace, hour, n) VALUES (?, ?, ?)
			ON CONFLICT (namespace, hour) DO UPDATE SET n = activation_counts.n + excluded.n`, k.namespace, k.hour, t[k])
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		if t[k] > 0 {
			continue
		}
		if _, err := tx.exec(ctx, "DELETE FROM activation_counts WHERE namespace = ? AND hour = ? AND n <= 0", k.namespace, k.hour); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	return nil
}

// wholeHours are the hours that f has whole: from the first, and before the end.
func (f Filter) wholeHours() (first, end int64) {
	first, end = math.MinInt64/hour, math.MaxInt64/hour
	if f.Since != 0 {
		first = hourOf(f.Since-1) + 1
	}
	if f.Upto != 0 {
		end = hourOf(f.Upto + 1)
	}
	return first, end
}

// count is how many records f chooses.
func (f Filter) count(ctx context.Context, q queryer) (int, error) {
	first, end := f.wholeHours()
	if f.Path != "" || first >= end {
		where, args := f.where()
		return q.count(ctx, where, args...)
	}
	// One statement, so that all its parts see the same records.
	const records = "(SELECT count(*) FROM activations WHERE namespace = ? AND start >= ? AND start <= ?)"
	statement := "SELECT (SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM activation_counts WHERE namespace = ? AND hour >= ? AND hour < ?)"
	args := []any{f.Namespace, first, end}
	if f.Since != 0 {
		statement += " + " + records
		args = append(args, f.Namespace, f.Since, first*hour-1)
	}
	if f.Upto != 0 {
		statement += " + " + records
		args = append(args, f.Namespace, end*hour, f.Upto)
	}
	var n int
	err := q.row(ctx, statement, args...).Scan(&n)
	return n, err
}

// skipsMany is from where on it pays to skip whole hours.
const skipsMany = 500

// skipHours returns a filter that chooses the same page with less to skip: the
// youngest hours that are skipped whole are left out.
func (f Filter) skipHours(ctx context.Context, q queryer) (Filter, error) {
	first, end := f.wholeHours()
	if f.Path != "" || f.Skip < skipsMany || first >= end {
		return f, nil
	}
	skip := f.Skip
	if f.Upto != 0 { // the hour that Upto cuts comes first
		n, err := q.count(ctx, " FROM activations WHERE namespace = ? AND start >= ? AND start <= ?", f.Namespace, end*hour, f.Upto)
		if err != nil || n > skip {
			return f, err
		}
		skip -= n
	}
	counts, err := all(ctx, q, func(scan func(...any) error) (c [2]int64, err error) {
		err = scan(&c[0], &c[1])
		return c, err
	}, "SELECT hour, n FROM activation_counts WHERE namespace = ? AND hour >= ? AND hour < ? ORDER BY hour DESC", f.Namespace, first, end)
	if err != nil {
		return f, err
	}
	for _, c := range counts {
		if int(c[1]) > skip {
			f.Upto, f.Skip = c[0]*hour+hour-1, skip
			return f, nil
		}
		skip -= int(c[1])
	}
	// What is left is in the hour that Since cuts, if there is one.
	f.Upto, f.Skip = first*hour-1, skip
	return f, nil
}
