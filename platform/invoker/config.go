package invoker

import "time"

// Config bounds an invoker. A zero field takes the default.
type Config struct {
	Memory int           // megabytes that all containers together may have; 0: 4096
	Idle   time.Duration // after which an idle container is removed; 0: 5 minutes
	// PauseAfter is how long a container is idle before it is paused; 0: 10 s, as in
	// OpenWhisk; negative: never.
	PauseAfter time.Duration
	// Prewarm says which containers are started in advance.
	Prewarm []Prewarm
	// PrewarmIdle is after how long without any run these go as well, until the next one; 0: never.
	PrewarmIdle time.Duration
	WaitLimit   time.Duration // how long a run may wait for its container; 0: 60 s
	LogWait     time.Duration // how long to wait for a guard line while nothing is printed; 0: 2 s
	MaxResult   int64         // bytes of a result; 0: 1 MB
	InFlight    int           // how many runs it takes from the queue at a time; 0: 10,000
}

// Prewarm asks for containers that are started in advance. Runs of actions whose kind and
// memory are just these get them; each is replaced when it was used.
type Prewarm struct {
	Kind   string // "python:3"
	Count  int
	Memory int // megabytes
}

func (c Config) withDefaults() Config {
	if c.Memory == 0 {
		c.Memory = 4096
	}
	if c.Idle == 0 {
		c.Idle = 5 * time.Minute
	}
	if c.PauseAfter == 0 {
		c.PauseAfter = 10 * time.Second
	}
	if c.WaitLimit == 0 {
		c.WaitLimit = time.Minute
	}
	if c.LogWait == 0 {
		c.LogWait = 2 * time.Second
	}
	if c.MaxResult == 0 {
		c.MaxResult = 1 << 20
	}
	if c.InFlight == 0 {
		c.InFlight = 10_000
	}
	return c
}
