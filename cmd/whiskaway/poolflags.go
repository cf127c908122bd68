package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/platform/invoker"
)

// poolFlags say how standalone keeps its containers.
type poolFlags struct {
	memory                        string
	prewarm                       []string
	idle, pauseAfter, prewarmIdle time.Duration
}

func (p *poolFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.memory, "container-memory", "4g", "the memory limits of all containers together; an action's counts while one of its containers is there")
	f.DurationVar(&p.idle, "container-idle", 5*time.Minute, "how long a container without a run is kept")
	f.DurationVar(&p.pauseAfter, "pause-after", 10*time.Second, "how long a container without a run goes on before it is paused; 0: it never is")
	f.StringArrayVar(&p.prewarm, "prewarm", nil, "containers started in advance, as python:3=2:256 (kind=how many:megabytes); may be repeated")
	f.DurationVar(&p.prewarmIdle, "prewarm-idle", 0, "after how long without any run those go as well, until the next run; 0: never")
}

// config returns what the flags say.
func (p *poolFlags) config() (c invoker.Config, err error) {
	bytes, err := function.ParseBytes(p.memory)
	if err != nil {
		return c, fmt.Errorf("--container-memory: %w", err)
	}
	for name, d := range map[string]time.Duration{"container-idle": p.idle - 1, "pause-after": p.pauseAfter, "prewarm-idle": p.prewarmIdle} {
		if d < 0 {
			return c, fmt.Errorf("--%s: a time such as 30s or 10m is wanted", name)
		}
	}
	c = invoker.Config{Memory: int(bytes >> 20), Idle: p.idle, PauseAfter: p.pauseAfter, PrewarmIdle: p.prewarmIdle}
	if c.Memory < 1 {
		return c, fmt.Errorf("--container-memory %s: that is not even one megabyte", p.memory)
	}
	if c.PauseAfter == 0 {
		c.PauseAfter = -1
	}
	total := 0
	for _, text := range p.prewarm {
		w, err := parsePrewarm(text)
		if err != nil {
			return c, err
		}
		total += w.Count * w.Memory
		c.Prewarm = append(c.Prewarm, w)
	}
	if total > c.Memory {
		return c, fmt.Errorf("--prewarm: these containers would take %d MB, but --container-memory is %s for all", total, p.memory)
	}
	return c, nil
}

// parsePrewarm reads "python:3=2:256".
func parsePrewarm(text string) (w invoker.Prewarm, err error) {
	bad := fmt.Errorf("--prewarm %s: it is kind=how many:megabytes, such as python:3=2:256", text)
	kind, rest, ok := strings.Cut(text, "=")
	count, memory, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || kind == "" {
		return w, bad
	}
	w.Kind = kind
	if w.Count, err = strconv.Atoi(count); err != nil || w.Count < 1 || w.Count > 1000 {
		return w, bad
	}
	if w.Memory, err = strconv.Atoi(memory); err != nil || w.Memory < 1 || w.Memory > 1<<20 {
		return w, bad
	}
	return w, nil
}
