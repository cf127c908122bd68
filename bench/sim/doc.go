// Command sim compares ways to place runs on servers, by simulation: `make sim`.
//
// It is a discrete-event simulator. The placement is the balancer's own code,
// balancer/placement; the servers, the network between and the calls are
// models. The same calls meet each policy, with the same servers, delays and faults, and
// the same seed always gives the same numbers: nothing here reads a clock or a map's order.
//
// What is modelled is told on the page that it writes, docs/simulation.md, beside the
// figures. What must hold here, and is tested:
//   - Each call ends exactly once.
//   - A server's workers never have more memory than it has, and no busy worker is evicted.
//   - Queueing theory's known answers come out (M/M/1, M/M/c, Little's law).
//   - The same seed gives the same numbers.
package main
