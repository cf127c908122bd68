package wire

import (
	"context"
	"fmt"
	"net"
)

// Listen opens addr, host:port; port 0 takes a free one. Connections whose peer
// has died are noticed within ten seconds.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive(), Control: control}
	ln, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return ln, nil
}
