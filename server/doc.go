// Package server is a function.Host over this machine's workers: it admits
// functions, keeps them as long as somebody holds a lease on them, and gives
// their runs to worker processes, of which each function has as many as its
// demand and its limits ask for.
//
// What must hold here: the owner has all the state. Only events touch it, one after
// another, and none waits for a process, a file or a caller. What it decides is the pure function
// plan; only the matching of a waiting run with a free worker is done straight,
// as it is on every run's way. Each call of Run that got a slot gives it back
// exactly once. A worker that is busy or starting is never stopped to make room.
// No directory and no process outlives its function, and none its server.
//
// design.md says why it is built so, and what must not be done.
package server
