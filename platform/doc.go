// Package platform is the OpenWhisk-compatible platform in one process: the
// REST API, a controller, an invoker, the queue between them, and the store.
//
//	api -> controller -> bus -> invoker -> a runtime's /init and /run
//	            \________ store ________/
//
// It speaks to runtimes over HTTP like any OpenWhisk and knows nothing of what
// lies behind them: it imports nothing of Whiskaway but its own rooms, and stream for
// callers who read a result as it comes.
//
// What must hold here: there is no well-known key; the key in clear is in one file
// that only its owner may read; state survives a restart, and so do promises: what
// was accepted runs after it, or its record says why not (recover.go); Close leaves
// no process.
package platform
