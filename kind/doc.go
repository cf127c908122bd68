// Package kind gets from a function's code to a command line: it finds the
// interpreters of this machine, unpacks code, builds the virtual environment
// that a requirements.txt asks for, and carries the launchers that speak
// package worker's protocol (see worker/protocol.md).
//
// What must hold here: nothing in an archive reaches a file outside the
// function's own directory. What is the function's own fault comes back as a
// *function.Error with CodeInitFailed, and with the tool's own words in Logs.
// No tool sees more of our environment than it needs.
package kind
