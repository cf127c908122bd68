// Package balancer is a function.Host over many hosts: its members. To a client
// it feels like one big server.
//
// A member is placeable from its first status report until its Join ends. The
// balancer keeps the code it is handed (on disk, bounded) and the Specs of the
// functions that clients lease, so that it can start a function on any member
// during a run. Towards members it holds leases of its own, one for each
// function and member, for as long as a client's lease on the function lives and
// placement does not find that fewer members are enough.
//
// Where a run goes is decided by package placement, which is pure. Here is what keeps its
// words up to date and does what it says: host.go, room.go and report.go (what members report),
// site.go and start.go (what functions they have), tally.go (how many runs there are), learn.go
// (what the runs showed). A run for which a slot is free passes request.go only. All others wait in
// the queue of their function (queue.go), which is served when something changes (serve.go): a run or a
// start ends, a member joins, leaves or reports more room, or the time has come that placement named
// (wakes.go). Where namespaces want the same place, the one goes first that has had least (fair.go). When
// there is nobody, noplace.go decides who waits and who is refused, and refusal.go and nobody.go say why.
//
// State has one owner: everything marked "guarded" belongs to Balancer.mu. The
// mutex is never held during a call of a Host, during I/O, or while waiting, and
// no lock of another room is taken under it. A run on a warm function takes it twice, for
// choosing (enter) and for letting go (release), and allocates nothing for it.
//
// What must hold here:
//   - A run is repeated only after its member's Host.Run returned an error, which
//     says that it never started. Once there is a Summary, it is passed on.
//   - Each dispatch is released exactly once: reserve counts it, release takes it back.
//   - Who waits has exactly one answer, also when it leaves at that moment.
//   - One start is in flight for a function and member, however many ask. It
//     belongs to the member, not to who asked first, and ends with the member.
//   - Every wait ends: with its caller's context, the run's time limit, the start
//     limit, the label grace, or the balancer. The queue of each function is bounded, and all
//     together, so are the Specs, the leases and the runs at a member.
//   - A server that we cordon is marked in its reports, so that all else sees it as if the
//     server had said so itself (cordon.go).
//   - Every goroutine belongs to a Join or to the Balancer; Join and Close wait.
//   - Nothing is done for a claim that does not cover the function's namespace,
//     and the answer then is the same as for a function that nobody knows.
package balancer
