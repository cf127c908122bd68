// Package worker is one process that runs one function: it starts it, hands it
// runs, and brings back each run's result and logs. How both sides talk is in
// protocol.md.
//
// What must hold here: a run's bytes go to the function as they came, and its
// answer back the same way. All that the process wrote before the end of a run
// is delivered before Run returns, and to that run only. However a run ends,
// Run says so. A run that must be cut is asked to end first; what was meant for
// it never hits another. When it does not end, the whole process is killed: nobody
// knows what state it is in.
package worker
