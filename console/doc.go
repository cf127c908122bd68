// Package console will be the web page that shows servers, functions and runs.
// It is a room that is planned and still empty: it comes with a later step.
//
// What must hold here: it only asks, through the wire and the platform's API,
// and owns no state of its own.
package console
