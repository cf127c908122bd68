// Package sandbox starts a command so that nothing of it can outlive us: not
// the command, not a grandchild that forked twice and called setsid, and not
// after a kill -9 of our own process.
//
// A small process of ours, the shim, stands between us and the command. It
// holds the read end of a pipe, the lifeline. Only we hold the write end, so
// however we end, the shim reads an end of file, and then it ends everything:
//
//   - ModeNamespace: the shim is PID 1 of a PID namespace of its own. When it
//     exits, the kernel kills all that is left in there.
//   - ModeSubreaper: where namespaces are refused. The shim inherits every
//     orphan among its descendants, and kills until it has no child.
//   - ModeGroup: not on Linux. The shim kills the command's process group; who
//     left the group gets away.
//
// Around that, Find builds what a machine allows: a read-only system in which
// the server's directories and other commands' cannot be seen, a uid of its own, no capabilities,
// Landlock, seccomp, a network namespace. design.md says how and in which order.
// Find finds out by real trials which of them work here, and Words says so.
//
// Freeze makes all commands of a process stand still for a while, and what they have started.
//
// What must hold here: the command gets its pipes straight, nobody copies
// bytes; it inherits no other file descriptor; its environment and arguments
// go to the shim through the lifeline and are seen in no process listing
// but its own.
package sandbox
