// Command bench measures every station of the path in one run and prints a
// table with ratios, as `make bench` does.
//
// Every part is a real process on loopback, and all setups are up at the same
// time; the repeats are interleaved, so that a slow moment of the machine
// meets all of them alike. Each question carries an id of its own, and its
// answer must carry the same: a wrong one ends the run. Compare ratios, not
// figures, from one machine to another.
//
// Three more are measured apart: bench/home, how a server that dialled home is reached best,
// bench/members, what servers that wait take of a balancer, and, also by `make bench`,
// bench/store, the platform's database when it is full.
//
// This package knows the binary only by its commands, not by its packages.
package main
