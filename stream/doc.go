// Package stream brings the items of a streamed result to who asked for it: one
// by one, as Server-Sent Events or as lines of JSON, to a reader that says so in its
// Accept header, and as one object to all others. The faces use it: packages runtime
// and openserverless, package wire's handler, and the platform.
//
// What the last item says:
//   - An object with the single key "result", whose value is an object or an
//     array: that value is the answer of who does not stream.
//   - An object with the single key "error": the run has failed, by the function's
//     own word; the item is the answer. A generator that throws ends so.
//   - Anything else: the answer is {"items":[…]}, with all items.
//
// Who reads Server-Sent Events (text/event-stream) gets:
//   - for each item an event with the item as its data, byte for byte. Items with the
//     single key "result" or "error" are events of that name, others have none.
//   - event error, with {"error":"…"}, when the run ended otherwise than by its
//     own word: it crashed, its time was over, its machine was lost.
//   - event end, always the last, with {"outcome":"ok","stream":true,"items":3}. The outcome
//     is that of function.Summary, or application_error, or developer_error. stream is
//     missing where the one item is a plain result. Where the event is missing, the
//     stream was cut.
//   - a comment every 15 seconds of silence.
//
// Who reads lines (application/x-ndjson) gets one line for each item, and
// {"error":"…"} as the last line when the run has failed.
//
// The items of a function that does not stream are its result. Until the first item
// nothing is sent, so that what fails before has its own status and body.
//
// What must hold here: items pass byte for byte, each as soon as it comes (at most
// 10 ms late); nothing is kept of them; a reader that does not read ends the run.
package stream
