package sandbox

import (
	"context"
	"fmt"
	"slices"
)

// Find tries each wall by starting the shim itself as the command, and returns
// what works here. It takes tens of milliseconds and should be called once. Its error
// says what was asked for explicitly and cannot be had: a network.
func Find(ctx context.Context, o Options) (Walls, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Walls{}, err
	}
	base := Walls{}
	if o.Level != LevelOff {
		base = Detect(ctx, o.Shim, o.Log)
	}
	if err := ctx.Err(); err != nil {
		return Walls{}, fmt.Errorf("finding the walls: %w", context.Cause(ctx))
	}
	if o.Level != LevelFull && o.Network == NetworkHost && !o.Guard {
		return base, nil
	}
	found, err := o.build(ctx, base)
	if err != nil {
		return Walls{}, err
	}
	if ctx.Err() != nil {
		return Walls{}, fmt.Errorf("finding the walls: %w", context.Cause(ctx))
	}
	for _, m := range found.Missing() {
		o.Log.Info("a wall cannot be used here", "wall", m)
	}
	return found, nil
}

// A part is one wall of a fence.
type part struct {
	word   string
	add    func(*fence)
	reason string // why it cannot be had, where that is known without a trial
}

// raise tries all parts at once, and each alone when that fails.
func raise(ctx context.Context, o Options, base Walls, parts []part) Walls {
	var fit []part
	var missing []string
	for _, p := range parts {
		if p.reason != "" {
			missing = append(missing, p.word+": "+p.reason)
			continue
		}
		fit = append(fit, p)
	}
	all := o.with(base, fit)
	if len(fit) > 0 && try(ctx, o.Shim, all) != nil {
		fit = slices.DeleteFunc(fit, func(p part) bool {
			err := try(ctx, o.Shim, o.with(base, []part{p}))
			if err != nil {
				missing = append(missing, p.word+": "+err.Error())
			}
			return err != nil
		})
		all = o.with(base, fit)
		if err := try(ctx, o.Shim, all); err != nil {
			// Each works alone but not all together: better none than a start that fails.
			for _, p := range fit {
				missing = append(missing, p.word+": it does not work together with the others: "+err.Error())
			}
			all = o.with(base, nil)
		}
	}
	all.fence.missing = missing
	return all
}

// with is base and a fence of these parts.
func (o Options) with(base Walls, parts []part) Walls {
	f := &fence{Network: NetworkHost, Hidden: o.Hidden, Secrets: o.Secrets}
	if o.Network == NetworkPublic {
		f.Network = NetworkPublic
	}
	for _, p := range parts {
		p.add(f)
	}
	base.fence = f
	return base
}
