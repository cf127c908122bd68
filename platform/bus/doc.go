// Package bus carries messages between controllers and invokers.
//
// The interfaces have the shape that a broker such as Kafka gives: topics,
// consumers that share a topic, acknowledgement and redelivery. Memory is the
// implementation inside one process: it passes a message's body by reference
// and never encodes it. An implementation that leaves the process is given a
// codec for its topic's type when it is made.
//
// What must hold here: a topic is bounded, and a publisher that finds it full is
// told at once; a message is in the hands of at most one consumer at a time, and
// an acknowledged message is never delivered again.
package bus
