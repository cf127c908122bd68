package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/platform/store"
)

// A question is asked many times, with the number of the time.
type question struct {
	what string
	ask  func(ctx context.Context, s store.Store, i int) error
}

func questions(n int) []question {
	list := func(what string, f store.Filter) question {
		return question{what, func(ctx context.Context, s store.Store, _ int) error {
			f := f
			f.Namespace = namespace
			got, err := s.Activations(ctx, f)
			if err == nil && len(got) == 0 {
				return errors.New("the list is empty")
			}
			return err
		}}
	}
	count := func(what string, f store.Filter) question {
		return question{what, func(ctx context.Context, s store.Store, _ int) error {
			f := f
			f.Namespace = namespace
			_, err := s.CountActivations(ctx, f)
			return err
		}}
	}
	middle := store.Filter{Since: at(n / 4), Upto: at(n * 3 / 4), Limit: 30}
	return []question{
		list("list activations, the first 30", store.Filter{Limit: 30}),
		list("… the first 200, whole", store.Filter{Limit: 200, Docs: true}),
		list("… 30 of an action", store.Filter{Limit: 30, Path: path(1)}),
		list("… 30 of a package's action", store.Filter{Limit: 30, Path: path(3)}),
		list("… 30 between since and upto", middle),
		list("… 30 after half of all are skipped", store.Filter{Limit: 30, Skip: n / 2}),
		list("… 30 after nearly all are skipped", store.Filter{Limit: 30, Skip: n - 30}),
		{"get an activation", func(ctx context.Context, s store.Store, i int) error {
			_, err := s.Activation(ctx, namespace, id(rand.IntN(n)))
			return err
		}},
		count("count activations", store.Filter{}),
		count("… of an action", store.Filter{Path: path(1)}),
		count("… between since and upto", middle),
		{"list actions, the first 30", func(ctx context.Context, s store.Store, _ int) error {
			_, err := s.List(ctx, store.Listing{Namespace: namespace, Collection: store.Actions, Limit: 30})
			return err
		}},
		{"… the last 30", func(ctx context.Context, s store.Store, _ int) error {
			_, err := s.List(ctx, store.Listing{Namespace: namespace, Collection: store.Actions, Limit: 30, Skip: actions - 30})
			return err
		}},
		{"list rules, all", func(ctx context.Context, s store.Store, _ int) error {
			_, err := s.List(ctx, store.Listing{Namespace: namespace, Collection: store.Rules})
			return err
		}},
		{"get an action", func(ctx context.Context, s store.Store, i int) error {
			i %= actions
			_, err := s.Get(ctx, store.Key{Namespace: namespace, Package: packageOf(i), Name: actionName(i)})
			return err
		}},
	}
}

// A result is how long a question took, in milliseconds.
type result struct{ p50, p99 float64 }

func measure(ctx context.Context, name string, s store.Store, o options) error {
	began := time.Now()
	if err := seed(ctx, s, o.activations); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("\n%s: %d actions, %d rules, %d activations of one namespace, written in %.1f s\n", name, actions, rules, o.activations, time.Since(began).Seconds())
	calm, err := askAll(ctx, s, o)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var busy []result
	writing, stop := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return keepWriting(writing, s, o) })
	busy, err = askAll(ctx, s, o)
	stop()
	if err := errors.Join(err, g.Wait()); err != nil {
		return fmt.Errorf("%s, while records are written: %w", name, err)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "ms\tp50\tp99\tp50, %d written/s\tp99\t\n", o.writes)
	for i, q := range questions(o.activations) {
		fmt.Fprintf(t, "%-36s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", q.what, calm[i].p50, calm[i].p99, busy[i].p50, busy[i].p99)
	}
	return t.Flush()
}

func askAll(ctx context.Context, s store.Store, o options) ([]result, error) {
	var results []result
	for _, q := range questions(o.activations) {
		took := make([]float64, 0, o.questions)
		for i := range o.questions {
			began := time.Now()
			if err := q.ask(ctx, s, i); err != nil {
				return nil, fmt.Errorf("%s: %w", q.what, err)
			}
			took = append(took, float64(time.Since(began))/float64(time.Millisecond))
		}
		slices.Sort(took)
		results = append(results, result{took[len(took)/2], took[len(took)*99/100]})
	}
	return results, nil
}

// keepWriting writes records that are younger than all others.
func keepWriting(ctx context.Context, s store.Store, o options) error {
	tick := time.NewTicker(time.Second / time.Duration(o.writes))
	defer tick.Stop()
	for i := o.activations; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := write(context.WithoutCancel(ctx), s, i); err != nil {
			return err
		}
	}
}
