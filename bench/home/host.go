package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// An echo is a Host whose functions answer with their body, and print first when it
// asks for logs.
type echo struct{}

var _ function.Host = echo{}

const (
	logLines = 1000
	logLine  = "2026-01-01T00:00:00.000000000Z stdout: a line of a log as functions print them, a hundred bytes\n"
)

// What a body begins with that asks for logs, or for a run that takes a while.
var (
	wantsLogs = []byte(`{"logs":`)
	wantsTime = []byte(`{"slow":`)
)

// aWhile is longer than TCP's delayed acknowledgement.
const aWhile = 300 * time.Millisecond

func (echo) Run(_ context.Context, _ function.ID, _ function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	body, err := act.Body.Bytes()
	if err != nil {
		return function.Summary{}, err
	}
	if bytes.HasPrefix(body, wantsLogs) {
		for range logLines {
			if err := out.Write(function.Stdout, []byte(logLine)); err != nil {
				return function.Summary{Outcome: function.OutcomeCancelled}, nil
			}
		}
	}
	if bytes.HasPrefix(body, wantsTime) {
		time.Sleep(aWhile)
	}
	if err := out.Write(function.Result, body); err != nil {
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}
	return function.Summary{Outcome: function.OutcomeOK}, nil
}

// Watch tells nothing, until ctx ends.
func (echo) Watch(ctx context.Context, _ func(function.Status) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// errOnlyRuns is the answer to all that is not measured.
var errOnlyRuns = errors.New("this host only runs")

func (echo) PutCode(context.Context, string, function.Digest, io.Reader) error { return errOnlyRuns }

func (echo) Init(context.Context, function.Spec, function.Lease) (function.ID, error) {
	return function.ID{}, errOnlyRuns
}

func (echo) Renew(context.Context, function.ID, function.Claim, time.Duration) error {
	return errOnlyRuns
}

func (echo) Stop(context.Context, function.ID, function.Claim) error { return errOnlyRuns }

// anyone lets every request in: who is at the other end was proved by TLS.
type anyone struct{}

func (anyone) Authorize(string) (wire.Principal, error) {
	return wire.Principal{Role: wire.RoleAdmin}, nil
}
