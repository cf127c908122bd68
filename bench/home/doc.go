// Command home measures how a balancer best reaches a server that has dialled it:
// by our pool of HTTP/1.1 connections, or by one HTTP/2 connection with the roles
// swapped. Run it as root on Linux, from the repository's root: go run ./bench/home
//
// The balancer's end and the server's end are processes in network namespaces of
// their own, joined by a link that delays and drops whole IP packets: their kernels'
// TCP retransmits as it would on a long way. Kernels without netem do, because the
// link is a pair of TUN devices and this program between them. Both ways use the same
// wire.Handler, TLS 1.3, the same callers and the same bodies.
//
// docs/decisions/0005 has what came of it.
package main
