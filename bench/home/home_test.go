package main

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/wire"
)

func TestParseFlags(t *testing.T) {
	for args, ok := range map[string]bool{
		"": true, "-rtt 5 -loss 0.5 -ways pool -mixes slow": true,
		"-rtt x": false, "-loss 101": false, "-ways quic": false, "-mixes none": false, "-in-flight 4": false, "more": false,
	} {
		if _, err := parseFlags(strings.Fields(args)); (err == nil) != ok {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestEndUnderstandsItsArguments(t *testing.T) {
	e := end{dir: "/tmp/x", way: "http2", mix: "mixed", congestion: "reno", inFlight: 9, window: time.Second, warmup: time.Minute}
	if got, err := parseEnd(e.args()); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
}

// Both ways carry every shape of run, on loopback.
func TestWaysAskAndAnswer(t *testing.T) {
	for _, way := range []string{"pool", "http2"} {
		t.Run(way, func(t *testing.T) {
			k, err := openKeys(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ln, err := wire.Listen(ctx, "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			var server errgroup.Group
			server.Go(func() error { return serveWay(ctx, way, ln.Addr(), k) })
			reach := poolBalancer
			if way == "http2" {
				reach = http2Balancer
			}
			ask, serve, err := reach(ctx, ln, k)
			if err != nil {
				t.Fatal(err)
			}
			for s := range shapes {
				if err := ask(ctx, s.body()); err != nil {
					t.Errorf("shape %d: %v", s, err)
				}
			}
			cancel()
			serve()
			if err := server.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func serveWay(ctx context.Context, way string, addr net.Addr, k *keys) error {
	if way == "http2" {
		return http2Server(ctx, addr.String(), k)
	}
	token, err := k.tokens.Token(wire.RoleJoin)
	if err != nil {
		return err
	}
	return poolServer(ctx, "https://"+addr.String(), token.Text())
}

func TestLoadTellsWhatItSaw(t *testing.T) {
	e := end{mix: "mixed", inFlight: 6, window: 100 * time.Millisecond, warmup: time.Millisecond}
	r := e.load(t.Context(), func(context.Context, []byte) error {
		time.Sleep(time.Millisecond)
		return nil
	})
	if r.Failed > 0 || r.Runs[small] == 0 || r.Runs[large] == 0 || r.Runs[logs] == 0 || r.Runs[slow] != 0 || r.P99[small] < r.P50[small] {
		t.Errorf("%+v", r)
	}
	r = e.load(t.Context(), func(context.Context, []byte) error {
		time.Sleep(time.Millisecond)
		return os.ErrClosed
	})
	if r.Failed == 0 || r.Why == "" {
		t.Errorf("%+v", r)
	}
}
