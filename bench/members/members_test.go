package main

import (
	"context"
	"errors"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func TestNumber(t *testing.T) {
	if n := number(`VmRSS:\s+(\d+)`, []byte("VmHWM:\t  9 kB\nVmRSS:\t  1234 kB\n")); n != 1234 {
		t.Error(n)
	}
	if n := number(`total (\d+)`, []byte("nothing")); n != 0 {
		t.Error(n)
	}
}

func TestParseFlags(t *testing.T) {
	if _, err := parseFlags([]string{"-members", "3", "-leases", "0"}); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"-members", "0"}, {"-leases", "-1"}, {"-idle", "0s"}, {"more"}} {
		if _, err := parseFlags(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// A server reports what was started on it.
func TestIdleReportsWhatItHolds(t *testing.T) {
	h := newIdle("server-000")
	id, err := h.Init(t.Context(), function.Spec{Namespace: "guest", Action: "a", Kind: "python:3"}, function.Lease{ID: "l"})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err = h.Watch(context.Background(), func(s function.Status) error {
		if len(s.Servers) != 1 || len(s.Functions) != 1 || s.Functions[0].ID != id || s.Functions[0].State != "ready" {
			t.Errorf("%+v", s)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}
