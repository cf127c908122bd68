// Package function holds the words of Whiskaway, and the one interface that
// carries it: Host.
//
// A Host is anything that can run functions: this machine's workers (package
// server), many other hosts (package balancer), or one host elsewhere (package
// wire's client). Faces that speak to the outside (package runtime, package
// wire's handler) know only a Host, never whose it is.
//
// What must hold here: this package imports the standard library only, starts
// no goroutine, opens no socket, and keeps no state.
package function
