// Package placement decides on which host a function runs. Everything in it is pure:
// it reads what its owner keeps (the balancer, or the simulator in bench/sim) and never a
// clock, a lock, a random source or a map's order, so the same state always gives the same answer.
//
// The owner keeps one Host for each member, one Function for each function and one
// Site for each pair of them of which something is known, tells them what it saw (Ran, Started,
// Answered ...), and asks Place where the next run of a function goes. See design.md.
//
// What must hold here:
//   - Place changes nothing and allocates nothing that grows with the hosts.
//   - A host whose site of the function is Starting is never told to start it again.
//   - A run is sent to a host only while a slot of its site is free.
//   - No queue stands still while a host can be used: see design.md, and checkProgress in the tests.
package placement
