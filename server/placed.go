package server

import (
	"context"

	"github.com/whiskaway/whiskaway/function"
)

// A Placed is the server as a balancer uses it: it does not check the labels of functions. The balancer has
// chosen this machine by them, and some of them may be its own word, which this machine does not
// know: those of the token that it joined with.
type Placed struct{ *Server }

// Init implements function.Host.
func (p Placed) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if err := p.offer.admitPlaced(spec); err != nil {
		return function.ID{}, err
	}
	return p.init(ctx, spec, lease)
}
