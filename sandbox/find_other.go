//go:build !linux

package sandbox

import (
	"context"
	"fmt"
)

// build has nothing to add here.
func (o Options) build(_ context.Context, base Walls) (Walls, error) {
	if o.Network != NetworkHost {
		return Walls{}, fmt.Errorf("the network %s cannot be had here: it exists on Linux only", o.Network)
	}
	base.fence = &fence{Network: NetworkHost, missing: []string{"all but the process group: they exist on Linux only"}}
	return base, nil
}
