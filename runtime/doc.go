// Package runtime is the face that OpenWhisk sees: one function behind /init
// and /run, put before a function.Host. Local mode and client mode differ only
// in the Host that an action's main asks for.
//
// What must hold here:
//   - The platform's bytes reach the Host untouched, and the function's answer
//     reaches the platform untouched; no body is parsed on the way.
//   - Each run, and each failed init, ends with one guard line on stdout and one
//     on stderr, whatever happened, before the HTTP answer is finished.
//   - A run is repeated only when the Host said that it never started.
//   - After a gap in the renewals nothing is sent on a connection from before it.
//   - Every answer has a Content-Length, but for a stream that the caller asked for.
//   - The code stays on disk, not in memory: it is needed again when the Host
//     has forgotten the function.
//
// Who accepts a stream gets the items of a result as they come; see package stream.
//
// Which answer follows from what is listed in answers.md.
package runtime
