// Package docker is the invoker's driver whose containers a Docker engine makes.
//
// It speaks the Engine API (https://docs.docker.com/reference/api/engine/) over the
// engine's socket, versions 1.40 to what there will be, with a small client of its own:
// a dozen calls of net/http. A container is limited as OpenWhisk's invoker limits it, gets
// its address in the engine's network, and is read by an attached stream from before
// its start to its end. When that stream ends, the container counts as ended: nothing it
// prints could be told any more.
//
// What must hold here: every call of the engine ends at a deadline, and says what the
// engine said; a container bears the platform's label, and only those that bear it are
// ever removed; what an earlier run of this platform left, also after kill -9, is removed
// before the first container is started, and what could not be removed is tried again;
// the balancer's token goes only to images that hide it from functions, never to a
// user's own.
package docker
