// Command store measures the platform's store as it is after some weeks: 1,000
// actions, 100 rules and 100,000 activations, in SQLite and, where it is
// installed, in PostgreSQL. It prints how long it takes to list, to get and to
// count: the median and the 99th percentile of single questions, one at a time,
// and while activations are written.
package main
