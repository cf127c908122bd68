package main

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestChild(t *testing.T) {
	c, err := startChild(t.TempDir(), "server", os.Environ(), "sh", "-c",
		`trap 'echo bye >&2; exit 0' TERM; echo getting ready >&2; echo starting; printf 'joined http'; echo '://b'; while :; do sleep 0.1; done`)
	if err != nil {
		t.Fatal(err)
	}
	url, err := c.expect(t.Context(), "joined ")
	if err != nil || url != "http://b" {
		t.Errorf("%q, %v", url, err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if got := c.tail(2); got != "getting ready\nbye" {
		t.Errorf("the log ends with %q", got)
	}
}

func TestChildThatFails(t *testing.T) {
	c, err := startChild(t.TempDir(), "server", os.Environ(), "sh", "-c", "echo the port is taken >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.expect(t.Context(), "joined "); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if err := c.stop(); err == nil {
		t.Error("stop did not say that it had ended by itself")
	}
	if got := c.tail(5); got != "the port is taken" {
		t.Errorf("the log ends with %q", got)
	}
}

func TestEnviron(t *testing.T) {
	got := environ([]string{"HOME=/h", "WHISKAWAY_TOKEN=t", "WHISKAWAY_PYTHON=/p", "WHISKAWAY_BALANCER=b"}, "X=1")
	if want := []string{"HOME=/h", "WHISKAWAY_PYTHON=/p", "X=1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestWatch(t *testing.T) {
	c, err := startChild(t.TempDir(), "server", os.Environ(), "false")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	c.watch(ctx, cancel)
	if err := context.Cause(ctx); !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "exit status 1") {
		t.Error(err)
	}
}
