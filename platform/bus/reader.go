package bus

// A Reader takes the items of a run's result as they come, for a caller who is
// waiting for them. It lies in the caller's process: a bus that leaves the process does not
// carry it, and then the caller gets the result as others do.
type Reader interface {
	// Event takes an event of package stream; data is valid during the call only. It
	// blocks while the caller does not read. An error means that nobody reads any more: the run shall end.
	Event(name string, data []byte) error
	// Gone is closed when nobody reads any more.
	Gone() <-chan struct{}
}
