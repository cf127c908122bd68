package scaler

import (
	"context"
	"slices"
)

// A Balancer is what the scaler needs of one.
type Balancer interface {
	// Fleet says what is there.
	Fleet() Fleet
	// Demanded returns a channel that is closed when something waits for a server
	// where nothing did.
	Demanded() <-chan struct{}
	// Cordon makes that nothing more is placed on the server of that name or id,
	// until Uncordon. It returns an error when no such server is connected.
	Cordon(ctx context.Context, server string) error
	// Uncordon ends a Cordon.
	Uncordon(server string)
	// Reconsider makes what waits for a server ask Serves again.
	Reconsider()
}

// A Fleet is what a balancer has, and what it lacks.
type Fleet struct {
	Servers []Server
	Demands []Demand
}

// A Server is one that is connected.
type Server struct {
	ID, Name string
	Labels   []string
	Draining bool  // nothing is placed there any more
	Leaving  bool  // it drains by itself: it is about to end
	Aside    bool  // it has failed again and again, and gets nothing for now
	Running  int   // runs there, and starts of functions
	Queued   int   // runs that wait there for a worker
	Runs     int64 // any number that differs after a run
	Needed   bool  // a function that a client leases is at no other server that takes runs
}

// A Demand is what waits in the balancer for a server with the same labels and kind.
type Demand struct {
	Labels  []string // sorted
	Kind    string
	Waiting int  // runs and starts
	Full    bool // servers fit, and all of them are full; false: no server fits
	// Lacking are the names of connected servers that have the labels, take runs, and
	// lack the kind: more of their sort would be no help.
	Lacking []string
}

// has reports whether all of labels are among those of have.
func has(have, labels []string) bool {
	for _, l := range labels {
		if !slices.Contains(have, l) {
			return false
		}
	}
	return true
}
