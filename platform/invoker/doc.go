// Package invoker runs activations in containers.
//
// It takes bus.Run messages, finds or starts a container for each (the pool),
// posts /init and /run to it as OpenWhisk's invoker does, collects the lines that
// the run printed, writes the activation's record, and tells the controller that
// waits. A Driver makes the containers: Process starts child processes; others
// may speak to Docker or Kubernetes.
//
// The plan decides who gets which container, who waits, what is started in advance, and
// what goes; the pool carries it out.
//
// What must hold here: a run is sent at most once, and sent again only when it
// certainly never started; a container serves one namespace, action and revision,
// and no more runs at a time than the action allows; no run gets another's log lines; the
// containers' memory limits together stay within the pool's; what is busy or starting is
// never evicted; a container that misbehaved is never used again; every
// wait ends at a deadline; all containers are gone when Close returns.
package invoker
