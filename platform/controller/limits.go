package controller

import "github.com/whiskaway/whiskaway/platform/bus"

// A Range is what a limit may be, and what it is when nothing is said.
type Range struct{ Min, Max, Default int }

// Limits are what actions and requests may ask for.
type Limits struct {
	Timeout     Range // milliseconds
	Memory      Range // megabytes
	Logs        Range // megabytes
	Concurrency Range
	Code        int64 // bytes of an action's code, as it is sent
	Payload     int64 // bytes of an invocation's or an entity's parameters
}

// DefaultLimits are OpenWhisk's.
func DefaultLimits() Limits {
	return Limits{
		Timeout:     Range{100, 300_000, 60_000},
		Memory:      Range{128, 512, 256},
		Logs:        Range{0, 10, 10},
		Concurrency: Range{1, 500, 1},
		Code:        48 << 20,
		Payload:     1 << 20,
	}
}

// PutLimits are the limits that a PUT carries; nil: not said.
type PutLimits struct {
	Timeout     *int `json:"timeout"`
	Memory      *int `json:"memory"`
	Logs        *int `json:"logs"`
	Concurrency *int `json:"concurrency"`
}

func (l Limits) defaults() bus.Limits {
	return bus.Limits{
		Timeout: l.Timeout.Default, Memory: l.Memory.Default,
		Logs: l.Logs.Default, Concurrency: l.Concurrency.Default,
	}
}

// apply returns old with what put says, if it may be said.
func (l Limits) apply(old bus.Limits, put PutLimits) (bus.Limits, error) {
	for _, one := range []struct {
		name, unit string
		allowed    Range
		to         *int
		wanted     *int
	}{
		{"timeout", " milliseconds", l.Timeout, &old.Timeout, put.Timeout},
		{"memory", " MB", l.Memory, &old.Memory, put.Memory},
		{"log size", " MB", l.Logs, &old.Logs, put.Logs},
		{"concurrency", "", l.Concurrency, &old.Concurrency, put.Concurrency},
	} {
		if one.wanted == nil {
			continue
		}
		if n := *one.wanted; n < one.allowed.Min {
			return old, Malformed("requirement failed: %s %d%s below allowed threshold of %d%s", one.name, n, one.unit, one.allowed.Min, one.unit)
		} else if n > one.allowed.Max {
			return old, Malformed("requirement failed: %s %d%s exceeds allowed threshold of %d%s", one.name, n, one.unit, one.allowed.Max, one.unit)
		}
		*one.to = *one.wanted
	}
	return old, nil
}
