// Package script is a scaler's driver that calls the operator's own script:
//
//	SCRIPT start LABEL N   start N servers that have the label, and return
//	SCRIPT stop SERVER     end that one
//	SCRIPT list            print a line for each server that may cost something
//
// A line of list is a name, then perhaps the label and the state (starting, up, stopping or failed), or a
// JSON object with these, "since", and "why" it has failed:
//
//	gpu-1 gpu up
//	{"server": "gpu-1", "label": "gpu", "state": "up", "since": "2026-01-02T15:04:05Z"}
//
// The script finds the balancer's URL in WHISKAWAY_BALANCER, and in
// WHISKAWAY_JOIN_TOKEN_FILE a file with the token to join by. An exit status other
// than 0 is an error, and what was printed then is the reason.
//
// What must hold here: the token is on no command line and in no error; a script that does not
// end in time is ended, with all that it started in its process group, and none is
// left when a call returns.
package script
