package wire

import "net"

// readable reports whether an idle connection has something to read, as far as
// can be seen: false where it cannot be looked into.
func readable(conn net.Conn) bool {
	p := newPeeker(conn)
	return p != nil && p.readable()
}

// beneath returns the connection under TLS and under what counts it.
func beneath(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case *pooledConn:
			conn = c.Conn
		case interface{ NetConn() net.Conn }: // TLS, and http1's
			conn = c.NetConn()
		default:
			return conn
		}
	}
}
