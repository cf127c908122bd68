// Package balancer is a function.Host over many hosts: its members. To a client
// it feels like one big server.
//
// A member is placeable from its first status report until its Join ends. The
// balancer keeps the code it is handed (on disk, bounded) and the Specs of the
// functions that clients lease, so that it can start a function on any member
// during a run. Towards members it holds leases of its own, one for each
// function and member, for as long as a client's lease on the function lives.
//
// State has one owner: everything marked "guarded" belongs to Balancer.mu. The
// mutex is never held during a call of a Host, during I/O, or while waiting, and
// no lock of another room is taken under it. A run on a warm function takes it twice, for
// choosing (choose.go) and for letting go (release), and allocates nothing for it.
//
// What must hold here:
//   - A run is repeated only after its member's Host.Run returned an error, which
//     says that it never started. Once there is a Summary, it is passed on.
//   - Each dispatch is released exactly once: reserve in choose, release in Run.
//   - One start is in flight for a function and member, however many ask. It
//     belongs to the member, not to who asked first, and ends with the member.
//   - Every wait ends: with its caller's context, the run's time limit, the start
//     limit, the label grace, or the balancer. The number of waiters for absent
//     servers is bounded, so are the Specs, the leases and the runs at a member.
//   - What waits for a server that a scaler may start is counted once, in choose, and
//     taken back in await (scaling.go). A server that we drain is marked in its reports, so
//     that all else sees it as if the server had said so itself.
//   - Every goroutine belongs to a Join or to the Balancer; Join and Close wait.
//   - Nothing is done for a claim that does not cover the function's namespace,
//     and the answer then is the same as for a function that nobody knows.
package balancer
