// Demo does Whiskaway's main job once, with no questions asked: it starts a
// platform and a separate server, creates three functions, calls each of them
// cold and warm, shows the answers, the logs and where the time went, and stops
// everything again. `make demo` runs it from the repository's root.
//
// It speaks to Whiskaway from outside only: the binary's command line, the files
// in its data directory, and the REST API. What must hold: whatever goes wrong,
// nothing that it started outlives it, and it exits non-zero with the reason.
package main
