// Package process is a scaler's driver that starts servers as processes of this
// machine: for demonstrations, for tests, and for a machine that shall be a server
// only while it is needed.
//
// Each machine has a directory of its own, named after it, with the server's data, its
// log and a record of its process. Names are used again, so that what a server has
// cached is there the next time.
//
// What must hold here: a process is signalled only when it is certain that it is ours, by its
// number and the time of its start; that is checked on a handle of the process,
// where the system has such. One that was started by a balancer that is gone, also after
// kill -9, is found again: by the record, or, if there was no time to write it, by its
// command line. Close ends all of them; kill -9 ends none.
package process
