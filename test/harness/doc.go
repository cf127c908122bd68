// Package harness starts the real binary for the tests that cross rooms, and
// waits for what it does. It is no test itself.
package harness
