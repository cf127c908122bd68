// Package scaler starts servers when runs wait for them, and stops them when
// nobody needs them any more. What a server is, and how one is started, is its
// Drivers' business: a script, Kubernetes, or processes of this machine.
//
// One goroutine, Run, has all the state. It looks at the balancer's Fleet and at
// what the drivers list, asks the pure function plan what to do, and carries it
// out by calls of the drivers, one at a time for each pool, none of which it
// waits for. What the balancer asks while it places a run (Serves) takes no lock.
//
// What must hold here:
//   - A server that is busy is never stopped. It is drained first, so that nothing
//     new comes, and stopped when it is empty.
//   - There are never more machines than Max, all pools together; what is starting
//     and what is ending counts.
//   - Nothing is decided for a pool before its driver has said what there is, so a
//     balancer that comes back forgets no machine.
//   - Every machine that a driver lists either joins, or is stopped after StartTimeout.
//   - Run returns only when all calls of drivers have ended.
package scaler
