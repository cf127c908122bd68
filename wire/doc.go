// Package wire is a function.Host over HTTP, both ends.
//
// A Handler puts any Host behind HTTP; a Client is the Host at the other end of
// it. A machine that cannot be dialled joins by DialHome: it dials the balancer,
// and then the roles swap below HTTP, so that the same Handler and the same
// Client are used over what was dialled. A machine that can be dialled too may say so when it joins
// (Whiskaway-Advertise, with a token for this balancer alone); then only its status, Inits, code and drains, and what
// cannot be dialled, go that way. Whoever dials goes by the proxy that HTTPS_PROXY names. The room also holds what a wire needs:
// tokens and who may do what, the balancer's own certificate authority, and how
// to listen.
//
// POST /drain, at a balancer with ?server=ID, makes a server take nothing new for good. It waits for
// the runs there, for 25 seconds at most: 204 says that none is left, 202 that some are, and to ask again.
//
// Code crosses as the body of PUT /code/{sha256}: the raw bytes, whose SHA-256 the
// digest is, or these compressed, with Content-Encoding: zstd. A host that unpacks
// says so in its answers to /init, also in the refusal code_missing that asks for the
// code: Accept-Encoding: zstd (RFC 9110, 12.5.3). A client compresses for such a host only,
// and only what gets smaller. An encoding that a host does not know, or cannot unpack
// at that moment, it answers with 415; whoever gets that, or a 400, sends
// the raw bytes once more. So versions need not be compared, and a host that says
// nothing, as all did before, gets raw bytes. The window may be 8 MB (RFC 9659).
//
// The answer to POST /run is frames, see function.Stream. Who accepts
// text/event-stream or application/x-ndjson instead, such as a person with curl
// who sends the headers Whiskaway-Function and Whiskaway-Lease, gets the items of the
// result in that form, without the logs; package stream says how. What fails before
// the first item has its own status and an error as JSON, and as ever only
// Whiskaway-Started: no says that nothing has started.
//
// Tokens are managed by /tokens, with an admin's token: GET lists them, POST makes one,
// {"role", "namespace", "labels", "ttl_ms"}, and DELETE /tokens/{id} revokes one. TokenDir does the same in the
// host's data directory. A running host sees every change within a second (Tokens.Follow).
// What goes on with a token that is good no more: its memberships and status streams end at once, its
// runs go on.
//
// What must hold here:
//   - A run is sent at most once. Client.Run returns an error only when it is
//     certain that the run never started; all else is told by the Summary.
//   - Nothing is done for a request before its token was found good for it.
//   - Nobody but an admin of the whole host learns of tokens, and nobody of their secrets: only hashes are kept.
//   - A token is sent to the one host that it belongs to, by TLS or on loopback,
//     and is never logged.
//   - A run's connection is looked at before it is used again, and one whose
//     answer was not read to its end, as it should be, is closed.
//   - Bodies pass untouched; nobody parses them.
//   - Neither end ever holds all of the code in memory; a sender decides neither how
//     much memory unpacking takes nor how many bytes come out.
//   - Whoever may keep a connection idle closes it before the other side does.
//   - Where one connection passes nothing on any more, the idle ones beside it
//     are not trusted either.
//   - Every goroutine has an owner that waits for it in Close, or before it returns.
package wire
