// Package postgres starts a real PostgreSQL server of a test's or a benchmark's
// own, in a temporary directory, with nothing to configure.
//
// What must hold here: the server is gone when Stop returns, and also when this
// process is killed (on Linux); a machine's own server is never touched; where no
// PostgreSQL is installed tests are skipped, saying so, but fail when CI is "true".
package postgres
