package function

import "context"

// A Drainer is a Host that can be emptied, so that its machine can be stopped
// and no run is lost.
type Drainer interface {
	// Drain makes the host take nothing new for good, and say so in its status. It
	// returns nil when no run is left there, or an error when ctx ends before: the host
	// goes on draining then, and no run is cut. Calling it again is how to wait on.
	Drain(ctx context.Context) error
}

// A MemberDrainer is a Host over others, of which it can empty one.
type MemberDrainer interface {
	// Drain is Drainer's, for the member with that id, which is its ServerStatus.ID.
	// CodeNoCapacity: no such member is connected.
	Drain(ctx context.Context, id string) error
}
