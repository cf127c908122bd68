package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/whiskaway/whiskaway/wire"
)

const (
	balancerIP = "10.77.0.1"
	serverIP   = "10.77.0.2"
	port       = "3234"
	device     = "home0"
	lease      = "0123456789abcdef0123456789abcdef"
	// patience is how long a run may take.
	patience = 30 * time.Second
)

// An end is what a balancer's or a server's process is told.
type end struct {
	dir, way, mix, congestion string
	inFlight                  int
	window, warmup            time.Duration
}

// args are the flags that parseEnd reads.
func (e end) args() []string {
	return []string{"-dir", e.dir, "-way", e.way, "-mix", e.mix, "-congestion", e.congestion, "-in-flight", fmt.Sprint(e.inFlight),
		"-window", e.window.String(), "-warmup", e.warmup.String()}
}

func parseEnd(args []string) (end, error) {
	var e end
	f := flag.NewFlagSet("end", flag.ContinueOnError)
	f.StringVar(&e.dir, "dir", "", "")
	f.StringVar(&e.way, "way", "", "")
	f.StringVar(&e.mix, "mix", "", "")
	f.StringVar(&e.congestion, "congestion", "", "")
	f.IntVar(&e.inFlight, "in-flight", 0, "")
	f.DurationVar(&e.window, "window", 0, "")
	f.DurationVar(&e.warmup, "warmup", 0, "")
	return e, f.Parse(args)
}

// keys are what both ends have from the one directory.
type keys struct {
	tls    *tls.Config
	tokens *wire.Tokens
}

func openKeys(dir string) (*keys, error) {
	authority, err := wire.OpenAuthority(dir)
	if err != nil {
		return nil, err
	}
	tokens, err := wire.OpenTokens(dir, authority.Fingerprint())
	if err != nil {
		return nil, err
	}
	config, err := authority.ServerConfig([]string{balancerIP})
	return &keys{config, tokens}, err
}

// runEnd is the balancer's or the server's process. It waits until its stdin says that its
// device is here.
func runEnd(ctx context.Context, role string, args []string) error {
	e, err := parseEnd(args)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return errors.New("the device did not come")
	}
	k, err := openKeys(e.dir)
	if err != nil {
		return err
	}
	if role == "server" {
		if err := setUp(device, serverIP, balancerIP, e.congestion); err != nil {
			return err
		}
		return e.server(ctx, k)
	}
	if err := setUp(device, balancerIP, serverIP, e.congestion); err != nil {
		return err
	}
	return e.balancer(ctx, k)
}

func (e end) server(ctx context.Context, k *keys) error {
	addr := net.JoinHostPort(balancerIP, port)
	if e.way == "http2" {
		return http2Server(ctx, addr, k)
	}
	token, err := k.tokens.Token(wire.RoleJoin)
	if err != nil {
		return err
	}
	return poolServer(ctx, "https://"+addr, token.Text())
}

// balancer listens, loads the server that dials, and tells on stdout what it saw.
func (e end) balancer(ctx context.Context, k *keys) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ln, err := wire.Listen(ctx, net.JoinHostPort(balancerIP, port))
	if err != nil {
		return err
	}
	defer ln.Close()
	fmt.Println("listening")
	reach := poolBalancer
	if e.way == "http2" {
		reach = http2Balancer
	}
	ask, serve, err := reach(ctx, ln, k)
	if err != nil {
		return err
	}
	text, err := json.Marshal(e.load(ctx, ask))
	if err != nil {
		return fmt.Errorf("telling what was measured: %w", err)
	}
	fmt.Println(string(text))
	cancel()
	serve() // its end is ours
	return nil
}
