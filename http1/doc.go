// Package http1 serves HTTP/1.1, with a lane of its own for the requests that
// there are many of: a POST to a plain path, also with a plain query, with a body of known length. They
// are served in the connection's own goroutine, with buffers that are used again.
// All others (other methods, chunked bodies, upgrades, anything odd) are handed to
// net/http together with their connection, so they are answered as ever.
//
// What must hold here:
//   - A request is taken only if net/http would read the same in it: what is in
//     doubt is net/http's. A test compares both, and is fuzzed.
//   - A handler sees what it would see with net/http: its context ends when the
//     client hangs up, its answer has a Content-Length when it is whole before it
//     leaves, and its panic ends the connection, not the program. Trailers are those that
//     are named with http.TrailerPrefix.
//   - Handlers do not use their arguments after they have returned, as net/http's
//     documentation demands: they are used again for the next request.
//   - A TLS handshake has the time that a request's headers have. Who speaks plain HTTP
//     instead gets an answer that says so.
//   - Every goroutine has ended when Wait returns.
//
// docs/decisions/0009 says why net/http alone was not enough, with figures.
package http1
