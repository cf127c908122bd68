package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/whiskaway/whiskaway/balancer"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/platform"
)

// A platformHost is standalone's balancer, whose status tells of the platform as well.
type platformHost struct {
	*balancer.Balancer
	platform atomic.Pointer[platform.Platform] // nil until it is there
}

// Watch implements function.Host. What changes at the platform alone is told at the balancer's next change,
// or after function.StatusInterval.
func (h *platformHost) Watch(ctx context.Context, report func(function.Status) error) error {
	return h.Balancer.Watch(ctx, func(s function.Status) error {
		if p := h.platform.Load(); p != nil {
			s.Platform = platformStatus(p)
		}
		return report(s)
	})
}

func platformStatus(p *platform.Platform) *function.PlatformStatus {
	now := p.Status()
	s := &function.PlatformStatus{
		Memory:  function.Memory{Budget: int64(now.Memory) << 20, Used: int64(now.Used) << 20},
		Running: now.Running, Waiting: now.Waiting, Kinds: []function.ContainerStatus{},
	}
	for _, k := range now.Kinds {
		c := k.Containers
		s.Kinds = append(s.Kinds, function.ContainerStatus{
			Kind: k.Kind, Starting: c.Starting, Busy: c.Busy, Warm: c.Idle, Paused: c.Paused, Prewarm: c.Prewarm, Wanted: k.Wanted, Leaving: c.Leaving,
		})
	}
	return s
}

// printPlatform shows the platform's containers, if there is a platform.
func printPlatform(t io.Writer, p *function.PlatformStatus) {
	if p == nil {
		return
	}
	fmt.Fprintf(t, "\nCONTAINERS OF THE PLATFORM: %s, %d runs in them, %d wait\n", memoryOf(p.Memory), p.Running, p.Waiting)
	fmt.Fprintln(t, "KIND\tSTARTING\tBUSY\tWARM\tPAUSED\tPREWARM\tLEAVING")
	for _, k := range p.Kinds {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d of %d\t%d\n", k.Kind, k.Starting, k.Busy, k.Warm, k.Paused, k.Prewarm, k.Wanted, k.Leaving)
	}
	if len(p.Kinds) == 0 {
		fmt.Fprintln(t, "there is none")
	}
}
