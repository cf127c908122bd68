package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/platform/controller"
)

// maxTimeLimit is the longest time limit that an operator may allow.
const maxTimeLimit = 24 * time.Hour

// What an operator may allow at most: what our own runtimes and servers take.
const (
	mostCode        = 64 << 20 // 48 MB, in base64
	mostPayload     = 40 << 20
	mostConcurrency = 500
	mostLogs        = 10 // MB
)

// platformLimits say what actions and namespaces may have of the platform.
type platformLimits struct {
	memory, logs, code, payload, result string
	timeout                             time.Duration
	concurrency                         int
	perMinute, concurrent, fires        string
}

func (l *platformLimits) add(f *pflag.FlagSet) {
	f.StringVar(&l.memory, "max-memory", "512m", "the memory that an action may ask for")
	f.DurationVar(&l.timeout, "max-timeout", 5*time.Minute, "the time limit that an action may ask for, up to 24h")
	f.StringVar(&l.logs, "max-logs", "10m", "the logs of a run that an action may ask for, up to 10m")
	f.IntVar(&l.concurrency, "max-concurrency", controller.DefaultLimits().Concurrency.Max, "the runs at a time in one container that an action may ask for")
	f.StringVar(&l.code, "max-code", "48m", "the size of an action's code, as it is sent, up to 64m")
	f.StringVar(&l.payload, "max-payload", "1m", "the size of an invocation's and of an entity's parameters, up to 40m")
	f.StringVar(&l.result, "max-result", "1m", "the size of a result, up to 40m")
	f.StringVar(&l.perMinute, "invocations-per-minute", unlimitedWord, "how often each namespace may invoke in a minute, unless it has a limit of its own")
	f.StringVar(&l.concurrent, "concurrent-invocations", unlimitedWord, "how many invocations of each namespace may be under way, unless it has a limit of its own")
	f.StringVar(&l.fires, "fires-per-minute", unlimitedWord, "how often each namespace may fire triggers in a minute, unless it has a limit of its own")
}

// limits are what the flags say.
func (l *platformLimits) limits() (controller.Limits, error) {
	c := controller.DefaultLimits()
	if err := l.ranges(&c); err != nil {
		return c, err
	}
	if err := l.sizes(&c); err != nil {
		return c, err
	}
	for _, one := range []struct {
		flag, value string
		to          *int
	}{
		{"invocations-per-minute", l.perMinute, &c.PerMinute}, {"concurrent-invocations", l.concurrent, &c.Concurrent}, {"fires-per-minute", l.fires, &c.FiresPerMinute},
	} {
		n, err := parseCount(one.value)
		if err != nil {
			return c, fmt.Errorf("--%s: %w", one.flag, err)
		}
		*one.to = n
	}
	return c, nil
}

// ranges sets what an action may ask for.
func (l *platformLimits) ranges(c *controller.Limits) error {
	memory, err := parseMegabytes(l.memory)
	if err != nil {
		return fmt.Errorf("--max-memory: %w", err)
	}
	logs, err := parseMegabytes(l.logs)
	if err != nil {
		return fmt.Errorf("--max-logs: %w", err)
	}
	timeout, err := parseMillis(l.timeout.String())
	if err != nil {
		return fmt.Errorf("--max-timeout: %w", err)
	}
	for _, one := range []struct {
		flag        string
		value, most int
		unit        string
		r           *controller.Range
	}{
		{flag: "max-memory", value: memory, most: 1 << 20, unit: "MB", r: &c.Memory},
		{flag: "max-logs", value: logs, most: mostLogs, unit: "MB", r: &c.Logs},
		{flag: "max-timeout", value: timeout, most: int(maxTimeLimit.Milliseconds()), unit: "milliseconds", r: &c.Timeout},
		{flag: "max-concurrency", value: l.concurrency, most: mostConcurrency, unit: "runs", r: &c.Concurrency},
	} {
		if one.value < one.r.Min || one.value > one.most {
			return fmt.Errorf("--%s: it must be from %d to %d %s", one.flag, one.r.Min, one.most, one.unit)
		}
		one.r.Max, one.r.Default = one.value, min(one.r.Default, one.value)
	}
	return nil
}

func (l *platformLimits) sizes(c *controller.Limits) error {
	for _, one := range []struct {
		flag, value string
		most        int64
		to          *int64
	}{
		{"max-code", l.code, mostCode, &c.Code}, {"max-payload", l.payload, mostPayload, &c.Payload}, {"max-result", l.result, mostPayload, &c.Result},
	} {
		n, err := function.ParseBytes(one.value)
		if err == nil && (n < 1<<10 || n > one.most) {
			err = fmt.Errorf("it must be from 1k to %dm", one.most>>20)
		}
		if err != nil {
			return fmt.Errorf("--%s: %w", one.flag, err)
		}
		*one.to = n
	}
	return nil
}
