// Package wire is a function.Host over HTTP, both ends.
//
// A Handler puts any Host behind HTTP; a Client is the Host at the other end of
// it. A machine that cannot be dialled joins by DialHome: it dials the balancer,
// and then the roles swap below HTTP, so that the same Handler and the same
// Client are used over what was dialled. The room also holds what a wire needs:
// tokens and who may do what, the balancer's own certificate authority, and how
// to listen.
//
// What must hold here:
//   - A run is sent at most once. Client.Run returns an error only when it is
//     certain that the run never started; all else is told by the Summary.
//   - Nothing is done for a request before its token was found good for it.
//   - A token is sent to the one host that it belongs to, by TLS or on loopback,
//     and is never logged.
//   - A run's connection is looked at before it is used again, and one whose
//     answer was not read to its end, as it should be, is closed.
//   - Bodies pass untouched; nobody parses them.
//   - Whoever may keep a connection idle closes it before the other side does.
//   - Where one connection passes nothing on any more, the idle ones beside it
//     are not trusted either.
//   - Every goroutine has an owner that waits for it in Close, or before it returns.
package wire
