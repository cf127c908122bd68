// Package cgroup gives each worker a control group: limits on its memory, its
// processes and its CPU time, one stroke that kills all of it, and a filter
// that keeps it from networks that are not public.
//
// Three layouts are handled. Pure v2: one hierarchy does all. Version 1: a
// hierarchy for each controller. Hybrid: both, where v2 usually has no
// controllers but still kills, freezes and filters. What none of them lets us
// write is not enforced, and Enforced says what is.
//
//	GROUP-OF-THIS-PROCESS/whiskaway-NAME/WORKER-1
//	                                    /WORKER-2
//
// What must hold here: a process joins the hierarchy that kills before any
// other, so that nobody is in a group that Kill does not reach; no file
// descriptor stays open for a group; every wait is bounded; nothing that is
// attached to a group outlives this process.
package cgroup
