// Command whiskaway is the one binary that plays every part: the platform, the
// load balancer, the servers, and the runtime that OpenWhisk calls.
//
// All wiring is here, a small file per command; anything worth a test of its
// own lives in the rooms below.
package main
