package scaler

import (
	"context"
	"time"
)

// A Driver starts and stops the machines of one pool. The scaler makes one call
// at a time, and gives each a ctx that ends: when the call took too long, or when the
// balancer is to end.
type Driver interface {
	// Start asks for n more machines, whose servers are to have the label (several
	// are joined by "&"). It returns when they were asked for, not when they are up:
	// the scaler sees a server join. After an error any number of them, also none or
	// all, may have been started; List tells which.
	Start(ctx context.Context, label string, n int) error

	// Stop ends a machine that List has shown. It returns when the machine has been
	// told to end, or later. Stopping one that is not there is not an error. After an
	// error the machine may be there or not; List tells, and Stop may be called again.
	Stop(ctx context.Context, server string) error

	// List returns all machines of the pool that may cost something: also those that
	// are still starting, or not gone yet, and those that a balancer of an earlier
	// life has started. After an error nothing is known, and what was listed before
	// is taken to be there still.
	List(ctx context.Context) ([]Machine, error)
}

// A Closer is a Driver whose machines live no longer than the balancer: they are
// children of this process, say. Close is called when all other calls have ended.
// After an error some machines may still be there.
type Closer interface {
	Close(ctx context.Context) error
}

// A Machine is what a driver knows of one server.
type Machine struct {
	// Server is the name by which the server joins the balancer (its --name, the
	// machine's host name if it has none), or its id.
	Server string
	Label  string // the pool's; empty: whatever pool was asked
	State  State
	Since  time.Time // when it was started; zero: not known. One of the same name and another time is another machine
	// Rank orders machines where a driver can stop only the last one: that with
	// the highest rank. Where all have rank 0 any machine can be stopped.
	Rank int
	Why  string // it has failed, for people
}

// A State is how far a machine is. Whether its server is up, the scaler sees by itself.
type State string

// The states.
const (
	Starting State = "starting"
	Up       State = "up"
	Stopping State = "stopping" // it was told to end
	Failed   State = "failed"   // it will never join: it ended by itself, say; Stop clears it away
)
