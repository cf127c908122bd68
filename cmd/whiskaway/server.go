package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/wire"
)

type serverCommand struct {
	*options
	listen, advertise, data, name, pprof string
	labels                               []string
	balancers, tokens                    []string // in pairs; without a balancer at most one token
	drain                                time.Duration
	machine                              machineFlags
	openServerless                       openServerlessFlags
	tls                                  tlsFlags
}

func newServer(o *options) *cobra.Command {
	c := serverCommand{options: o}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Server mode: run functions on this machine",
		Long: "Server mode: run functions on this machine.\n\n" +
			"With --balancer it joins that balancer by dialling it: no open port is needed.\n" +
			"To join several, give --balancer and --token several times, in pairs.\n" +
			"With --listen it serves clients that come directly. Both together work too;\n" +
			"the direct clients' tokens are then in the data directory. With --advertise the\n" +
			"balancers are told an address of --listen, and dial this machine.\n" +
			"With --openserverless it serves OpenServerless's clients, who know no tokens.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.balancers, "balancer", one(os.Getenv("WHISKAWAY_BALANCER")), "the URL of the balancer to join; may be repeated, with a --token for each")
	f.StringArrayVar(&c.tokens, "token", nil, "the balancer's join token, or without a balancer the token that clients must show (default: WHISKAWAY_TOKEN, or the file of WHISKAWAY_TOKEN_FILE)")
	f.StringArrayVar(&c.labels, "label", nil, "a label that functions can ask for, gpu or region=eu; may be repeated")
	f.StringVar(&c.listen, "listen", "", "serve clients directly at this address; plain http on loopback, TLS elsewhere")
	f.StringVar(&c.advertise, "advertise", "", "the URL at which balancers can dial what --listen opens: https, or http where balancer and server share one machine")
	f.StringVar(&c.data, "data", "", "the data directory (default: whiskaway/server under the user's state directory)")
	f.StringVar(&c.name, "name", "", "the server's name in the status (default: the host's name)")
	c.openServerless.add(f)
	c.machine.add(f)
	f.DurationVar(&c.drain, "drain-timeout", closeTimeout, "how long runs under way may go on when the server is to stop")
	c.tls.add(f)
	pprofFlag(f, &c.pprof)
	return cmd
}

func (c *serverCommand) run(ctx context.Context, out io.Writer) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	if len(c.balancers) == 0 && c.listen == "" && c.openServerless.listen == "" {
		return errors.New("say whom to serve: --balancer URL to join a balancer, --listen ADDR for clients that come directly, or --openserverless ADDR for those of OpenServerless")
	}
	if err := c.openServerless.check(); err != nil {
		return err
	}
	if c.drain < 0 {
		return errors.New("--drain-timeout must not be negative; 0 cuts the runs under way at once")
	}
	if c.tls.given() && c.listen == "" {
		return errors.New("--tls-cert is for clients that come directly: say with --listen where")
	}
	homes, err := c.pairs()
	if err != nil {
		return err
	}
	dir, err := dataDir(c.data, "server")
	if err != nil {
		return err
	}
	c.machine.secrets = findSecrets(c.tokens...)
	m, err := findOut(ctx, log, &c.machine, dir)
	if err != nil {
		return err
	}
	defer m.close()
	m.findGPUs(ctx)
	m.measure(ctx, dir)
	host, err := m.openServer(ctx, server.Config{Dir: dir, Name: c.name, Labels: c.labels}, &c.machine)
	if err != nil {
		return err
	}
	m.tellWalls(host)
	defer closeInTime(log, "the server", host.Close)
	g, ctx := errgroup.WithContext(ctx)
	serving := c.drained(g, ctx, host)
	if err := c.begin(g, serving, out, host, homes, dir, log); err != nil {
		g.Go(func() error { return err }) // ends the others
	}
	return g.Wait()
}

// begin starts what serves, in g.
func (c *serverCommand) begin(g *errgroup.Group, ctx context.Context, out io.Writer, host *server.Server, homes []home, dir string, log *slog.Logger) error {
	if err := servePprof(g, ctx, c.pprof); err != nil {
		return err
	}
	if c.listen != "" {
		if err := c.serveDirectly(g, ctx, out, host, homes, dir, log); err != nil {
			return err
		}
	}
	if c.openServerless.listen != "" {
		if err := c.openServerless.serve(g, ctx, out, host, dir, log); err != nil {
			return err
		}
	}
	c.join(g, ctx, out, host, homes, log)
	return nil
}

// drained returns the context in which the server is reached. When ctx ends, the
// server takes nothing new, and ends what runs; only then does that context end.
// Until then its balancer is connected, and knows that the server drains.
func (c *serverCommand) drained(g *errgroup.Group, ctx context.Context, host *server.Server) context.Context {
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		<-ctx.Done()
		limited, cancel := context.WithTimeout(serving, c.drain)
		defer cancel()
		host.DrainOrCut(limited)
		end()
		return nil
	})
	return serving
}

// serveDirectly listens for clients, and for balancers that dial. With a balancer the given
// token is the balancer's, so direct clients get tokens of our own.
func (c *serverCommand) serveDirectly(g *errgroup.Group, ctx context.Context, out io.Writer, host *server.Server, homes []home, dir string, log *slog.Logger) error {
	face, err := listenWire(ctx, c.listen, dir, &c.tls, log)
	if err != nil {
		return err
	}
	auth, hint, err := c.directAuth(face, dir)
	if err != nil {
		face.close()
		return err
	}
	auth = c.advertiseTo(homes, face, auth)
	unpublish, err := face.publish(dir)
	if err != nil {
		face.close()
		return err
	}
	handler := wire.NewHandler(face.manageTokens(wire.HandlerConfig{Host: host, Auth: auth, Log: log}))
	g.Go(func() error {
		defer unpublish()
		defer handler.Close()
		return face.serve(ctx, handler)
	})
	fmt.Fprintf(out, "server listening on %s\n%s\n", face.url, hint)
	return nil
}

// goodToken is from how many characters on a token is not called short: 16
// random ones of base64 are 96 bits.
const goodToken = 16

func (c *serverCommand) directAuth(face *face, dir string) (wire.Authorizer, string, error) {
	if len(c.balancers) > 0 || len(c.tokens) == 0 {
		tokens, err := face.tokens(dir)
		return tokens, "clients show the token in " + dir + "/tokens/client", err
	}
	token, err := wire.ParseToken(c.tokens[0])
	if err != nil {
		return nil, "", fmt.Errorf("--token: %w", err)
	}
	if len(token.Secret) < goodToken {
		face.log.Warn("the token is short: who guesses it can run code here; use a long random one", "characters", len(token.Secret))
	}
	hint := "clients show the token that you gave"
	if fingerprint := face.fingerprint(); !face.plain() && fingerprint != "" {
		hint += ", with this behind it: ~" + fingerprint
	}
	return wire.Static(token), hint, nil
}
