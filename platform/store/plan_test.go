package store

import (
	"fmt"
	"strings"
	"testing"
)

// plan is what the database would do for a statement, in its own words.
func plan(t *testing.T, s *Database, statement string, args ...any) string {
	t.Helper()
	explain, columns := "EXPLAIN QUERY PLAN ", 4
	if _, ok := s.dialect.(postgresDialect); ok {
		explain, columns = "EXPLAIN ", 1
	}
	lines, err := all(t.Context(), s.reader(), func(scan func(...any) error) (string, error) {
		row := make([]any, columns)
		to := make([]any, columns)
		for i := range row {
			to[i] = &row[i]
		}
		err := scan(to...)
		return fmt.Sprint(row[columns-1]), err
	}, explain+statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// Lists and counts of activations are answered by an index in its own order:
// nothing is sorted but the page itself, and the table is read for nothing that is
// skipped or only counted.
func TestActivationsAreFoundByIndexes(t *testing.T) { onEach(t, testActivationsAreFoundByIndexes) }

func testActivationsAreFoundByIndexes(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	for i := range 5000 {
		a := activation(i)
		a.Logs = make([]byte, 1000) // a table of few pages is read whole
		a.Path = fmt.Sprintf("p%d/a%d", i%3, i%100)
		if i%2 == 0 {
			a.Path = fmt.Sprint("a", i%100)
		}
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.writer.flush(ctx, "guest"); err != nil {
		t.Fatal(err)
	}
	analyze := "ANALYZE"
	if _, ok := s.dialect.(postgresDialect); ok {
		analyze = "VACUUM ANALYZE" // what its autovacuum does from time to time
	}
	if _, err := s.write.ExecContext(ctx, analyze); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter Filter
		index  string
	}{
		{Filter{}, "activations_by_start"},
		{Filter{Since: 2000, Upto: 4000}, "activations_by_start"},
		{Filter{Path: "a1"}, "activations_by_name"},
		{Filter{Path: "a1", Since: 2000}, "activations_by_name"},
		{Filter{Path: "p1/a1"}, "activations_by_name"},
		{Filter{Path: "p1/a1", Upto: 4000}, "activations_by_name"},
	} {
		c.filter.Namespace, c.filter.Limit, c.filter.Skip = "guest", 30, 20
		statement, args := c.filter.page()
		got := plan(t, s, statement, args...)
		if strings.Contains(got, "Seq Scan") || strings.Contains(got, "SCAN activations") || !strings.Contains(got, c.index) || !coversIn(got, c.index) {
			t.Errorf("the page of %+v:\n%s", c.filter, got)
		}
		where, args := c.filter.where()
		if got := plan(t, s, "SELECT count(*)"+where, args...); !coversIn(got, c.index) {
			t.Errorf("the count of %+v:\n%s", c.filter, got)
		}
	}
}

// coversIn reports whether a plan reads the index alone, backwards if there is an order.
func coversIn(plan, index string) bool {
	return strings.Contains(plan, "COVERING INDEX "+index) || // SQLite
		strings.Contains(plan, "Index Only Scan Backward using "+index) || strings.Contains(plan, "Index Only Scan using "+index)
}
