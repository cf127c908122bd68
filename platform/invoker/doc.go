// Package invoker runs activations in containers.
//
// It takes bus.Run messages, finds or starts a container for each (the pool),
// posts /init and /run to it as OpenWhisk's invoker does, collects the lines that
// the run printed, writes the activation's record, and tells the controller that
// waits. A Driver makes the containers: Process starts child processes; others
// may speak to Docker or Kubernetes.
//
// What must hold here: a run is sent at most once, and sent again only when it
// certainly never started; a run that is in the journal is claimed there before it
// is sent, also when it comes twice; a container serves one namespace, action and revision,
// and one run at a time; a container that misbehaved is never used again; every
// wait ends at a deadline; all containers are gone when Close returns.
package invoker
