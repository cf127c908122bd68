// Package conformance holds `whiskaway runtime` to OpenWhisk's contract of a
// runtime container. There is one table of cases. Each case meets the real
// binary in local mode, and in client mode with a balancer and a server behind
// it, for functions in Python, in JavaScript, and for an executable. What a mode
// or a language cannot do by its nature is listed in exceptions_test.go.
package conformance
