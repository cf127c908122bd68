// Package test holds the tests that cross rooms: they start the real binary,
// real Python and Node.js, real processes and real sockets.
package test
