// Command members measures what a balancer's process takes for servers that only wait:
// its memory, goroutines and CPU with many joined servers and many leases. Run it from
// the repository's root after `make build`: go run ./bench/members
//
// The balancer is the real binary. The servers join by wire.DialHome as real ones do,
// but they are all in this process, and their Host starts everything at once.
package main
