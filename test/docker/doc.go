// Package docker holds the tests of the images in docker/: they build them with a
// real Docker engine, run them as OpenWhisk's invoker does, and call them.
//
// The engine runs in network, mount and process namespaces of its own, which end
// with the test, also when that is killed. `make test-docker` installs what that
// takes; without it the tests are skipped.
package docker
