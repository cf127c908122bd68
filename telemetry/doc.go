// Package telemetry is where Whiskaway tells its operator what it does: logs
// now; metrics and traces come later.
//
// What must hold here: nothing secret is ever logged, which means no code, no
// environment, no token and no parameter; and loggers are passed on, never
// global.
package telemetry
