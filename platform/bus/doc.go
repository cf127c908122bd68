// Package bus carries messages between controllers and invokers.
//
// The interfaces have the shape that a broker gives: topics, consumers that share a
// topic, acknowledgements and redelivery. Memory is the implementation inside one
// process: it passes a message's body by reference and never encodes it. Package
// bustest holds any implementation to what is said here.
//
// An implementation that leaves the process, on Kafka for example, is given a Codec
// for its topic's type (NewRunCodec for runs: API keys travel sealed). Topics are its
// own: all invokers are one group of consumers on the topic of runs, and each
// controller alone on its topic of ends, which it names in Run.ReplyTo. A message's
// Key chooses its partition. An acknowledgement is one message's, not all those before
// it: an implementation whose broker counts only offsets must keep which of the later
// ones are settled, and count a message as settled before Ack returns nil. What lies in
// the sender's process, Run.Reader and Run.Sending, is not carried.
//
// What must hold here: a topic is bounded, and a publisher that finds it full is
// told at once; a message is in the hands of at most one consumer at a time; an
// acknowledged message is never delivered again; what a consumer had that is gone
// goes to another one, who is told that it may have been handled.
//
// An invoker that is told so does not run it, unless the run is in the journal: there
// is written whether it was sent, and who may send it is decided once (see
// docs/decisions/0010).
package bus
