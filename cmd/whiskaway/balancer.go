package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/balancer"
	"github.com/whiskaway/whiskaway/balancer/scaler"
	"github.com/whiskaway/whiskaway/wire"
)

type balancerCommand struct {
	*options
	listen, data, pprof string
	drain               time.Duration
	scale               scaleFlags
	tls                 tlsFlags
}

func newBalancer(o *options) *cobra.Command {
	c := balancerCommand{options: o}
	cmd := &cobra.Command{
		Use:   "balancer",
		Short: "The load balancer: servers join it, clients go to it",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:3234", "where it listens; plain http on loopback, TLS elsewhere")
	f.StringVar(&c.data, "data", "", "the data directory (default: whiskaway/balancer under the user's state directory)")
	f.DurationVar(&c.drain, "drain-timeout", drainTimeout, "how long runs under way may go on when the balancer is to stop; a second signal ends it at once")
	c.scale.add(f)
	c.tls.add(f)
	pprofFlag(f, &c.pprof)
	return cmd
}

func (c *balancerCommand) run(ctx context.Context, out io.Writer) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	if c.drain < 0 {
		return errors.New("--drain-timeout must not be negative; 0 cuts the runs under way at once")
	}
	dir, err := c.directory()
	if err != nil {
		return err
	}
	face, err := listenWire(ctx, c.listen, dir, &c.tls, log)
	if err != nil {
		return err
	}
	defer face.close()
	tokens, err := face.tokens(dir)
	if err != nil {
		return err
	}
	scale, err := c.scale.open(dir, face, log)
	if err != nil {
		return err
	}
	bal, err := openBalancer(dir, scale, log)
	if err != nil {
		return err
	}
	hurry, stop := secondSignal(ctx)
	defer stop()
	defer closeUnless(hurry, log, "the balancer", bal.Close)
	handler := wire.NewHandler(wire.HandlerConfig{Host: bal, Auth: tokens, Tokens: tokens, Join: joinBalancer(bal), Log: log})
	defer handler.Close()
	unpublish, err := face.publish(dir)
	if err != nil {
		return err
	}
	defer unpublish()
	g, working := errgroup.WithContext(ctx)
	if err := servePprof(g, working, c.pprof); err != nil {
		return err
	}
	serving := drainFirst(ctx, working, hurry, g, c.drain, bal.Retire)
	g.Go(func() error { return face.serve(serving, handler) })
	if scale != nil { // it may end servers when it ends, so the runs there come first
		g.Go(func() error { return scale.Run(serving, bal) })
	}
	greet(out, face.url, dir)
	return waitWithin(hurry, 0, g.Wait)
}

// directory makes the data directory.
func (c *balancerCommand) directory() (string, error) {
	dir, err := dataDir(c.data, "balancer")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the data directory: %w", err)
	}
	return dir, nil
}

// openBalancer opens the Host behind the face. The scaler may be nil.
func openBalancer(dir string, scale *scaler.Scaler, log *slog.Logger) (*balancer.Balancer, error) {
	cfg := balancer.Config{Dir: filepath.Join(dir, "balancer"), Log: log}
	if scale != nil {
		cfg.Scales, cfg.ScaleTrouble = scale.Serves, scale.Trouble
	}
	return balancer.Open(cfg)
}

// greet says what to do next.
func greet(out io.Writer, url, dir string) {
	fmt.Fprintf(out, `balancer listening on %[1]s
tokens in %[2]s

Join a machine:   whiskaway server --balancer %[1]s --token "$(cat %[2]s/join)" --label gpu
Let a client use it:  WHISKAWAY_BALANCER=%[1]s WHISKAWAY_TOKEN="$(cat %[2]s/client)"
See what is there:  whiskaway status --data %[3]s
`, url, filepath.Join(dir, "tokens"), dir)
}

// drainTimeout is below the 30 s that Docker and Kubernetes give, and leaves some of them for the last answers.
const drainTimeout = 20 * time.Second

// joinBalancer makes each server that dials home a member.
func joinBalancer(bal *balancer.Balancer) func(context.Context, wire.Joining) error {
	return func(ctx context.Context, j wire.Joining) error {
		return bal.Join(ctx, balancer.Member{ID: j.ServerID, Name: j.Name, Host: j.Host, Labels: j.Labels})
	}
}
