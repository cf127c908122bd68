// Package kind gets from a function's code to a command line: it finds the
// interpreters of this machine, unpacks code, builds what the code asks for (a Python
// environment, node_modules, a compiled executable), and carries the launchers that speak
// package worker's protocol (see worker/protocol.md).
//
// What must hold here:
//
//   - Nothing in an archive reaches a file outside the function's own directory, and none makes
//     us do more than its bounds allow.
//   - Tools run strangers' code. Each works in one directory that is empty at first, is told in its
//     Command what it may see, and finds no more of our environment than it needs.
//     No build trusts what another has written.
//   - An environment never changes once it is complete, holds in its name a hash of all that
//     went into it, and is not removed while somebody holds it.
//   - What is the function's own fault comes back as a *function.Error with
//     CodeInitFailed, and with the tool's own words in Logs.
package kind
