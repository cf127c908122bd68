package main

import (
	"context"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// What is in the store. All belongs to one namespace, the worst case.
const (
	namespace = "guest"
	actions   = 1000
	rules     = 100
	// begin is when the first record began, in milliseconds since 1970; then comes one
	// each six seconds: 100,000 in a week.
	begin = 1_790_000_000_000
	every = 6000
)

func seed(ctx context.Context, s store.Store, activations int) error {
	code := "def main(args):\n    return args\n"
	for i := range actions {
		e := store.Entity{Key: store.Key{Namespace: namespace, Package: packageOf(i), Name: actionName(i)}, Collection: store.Actions,
			Doc: []byte(`{"version":"0.0.1","exec":{"kind":"python:3","main":"main","binary":false},"limits":{"timeout":60000,"memory":256}}`)}
		if _, err := s.Put(ctx, e, &code); err != nil {
			return fmt.Errorf("writing an action: %w", err)
		}
	}
	for i := range rules {
		e := store.Entity{Key: store.Key{Namespace: namespace, Name: fmt.Sprint("rule", i)}, Collection: store.Rules,
			Ref: fmt.Sprint("/guest/trigger", i%10), Doc: []byte(`{"version":"0.0.1","status":"active"}`)}
		if _, err := s.Put(ctx, e, nil); err != nil {
			return fmt.Errorf("writing a rule: %w", err)
		}
	}
	for i := range activations {
		if err := write(ctx, s, i); err != nil {
			return err
		}
	}
	_, err := s.Activations(ctx, store.Filter{Namespace: namespace, Limit: 1}) // waits for the last
	return err
}

// packageOf puts each third action into one of ten packages.
func packageOf(i int) string {
	if i%3 != 0 {
		return ""
	}
	return fmt.Sprint("package", i%10)
}

func actionName(i int) string { return fmt.Sprintf("action%03d", i) }

func path(i int) string {
	if p := packageOf(i); p != "" {
		return p + "/" + actionName(i)
	}
	return actionName(i)
}

func id(i int) string { return fmt.Sprintf("%032x", uint64(i)*0x9e3779b97f4a7c15) }

// write writes the record with the number i: about a kilobyte, as most are.
func write(ctx context.Context, s store.Store, i int) error {
	took, of := int64(12), i*7%actions
	r := store.Record{
		ID: id(i), Name: actionName(of), Namespace: namespace, Subject: namespace, Version: "0.0.1", Path: path(of),
		Start: begin + int64(i)*every, End: begin + int64(i)*every + took, Duration: &took,
		Result: []byte(`{"greeting":"Hello, Ada!","items":[1,2,3,4,5,6,7,8,9,10],"text":"The quick brown fox jumps over the lazy dog."}`),
		Logs:   []string{"2026-11-26T10:00:00.000000000Z stdout: a line of text that a function has printed"},
		Annotations: []store.Annotation{
			{Key: "path", Value: namespace + "/" + path(of)}, {Key: "kind", Value: "python:3"}, {Key: "waitTime", Value: int64(4)},
			{Key: "limits", Value: map[string]int{"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}}, {Key: "timeout", Value: false},
		},
	}
	a, err := r.Encode()
	if err != nil {
		return err
	}
	return s.PutActivation(ctx, a)
}

// at is the start of the record with the number i.
func at(i int) int64 { return time.UnixMilli(begin + int64(i)*every).UnixMilli() }
