// Package controller knows what OpenWhisk's words mean: actions, triggers, rules
// and packages, who may use them, and what an invocation is. It is what package
// api puts before the world.
//
// An invocation becomes a bus.Run with its parameters merged; an invoker takes
// it from there and tells the end on the controller's own topic. That of a sequence or of a
// conductor becomes a composition: a goroutine here that sends such runs, one after the other, and writes
// its own record.
//
// What must hold here: parameters reach the action as they were written, digit
// by digit; one namespace never sees another's, but for packages that are published; no key is kept in
// clear or logged; whoever is answered 202 has a promise that outlives this process (accept.go); every
// wait ends at a deadline; no composition goes on when Close returns.
package controller
