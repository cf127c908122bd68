package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/balancer"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/platform"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/wire"
)

// localLabel is what standalone's own server always offers, so that `main@local`
// works before there is any other machine.
const localLabel = "local"

type standaloneCommand struct {
	*options
	listen, balancerListen, data, pprof string
	drain                               time.Duration
	labels                              []string
	machine                             machineFlags
	compose                             composeFlags
	tls                                 tlsFlags
	store                               storeFlags
}

func newStandalone(o *options) *cobra.Command {
	c := standaloneCommand{options: o}
	cmd := &cobra.Command{
		Use:   "standalone",
		Short: "The whole platform on this machine: OpenWhisk's API, a load balancer and a server",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:3233", "where the platform's REST API listens")
	f.StringVar(&c.balancerListen, "balancer-listen", "127.0.0.1:3234", "where the load balancer listens")
	f.StringVar(&c.data, "data", "", "the data directory (default: whiskaway/standalone under the user's state directory)")
	f.StringArrayVar(&c.labels, "label", nil, "a further label of this machine's own server; may be repeated")
	f.DurationVar(&c.drain, "drain-timeout", callersTimeout, "how long callers who wait for an activation are still served when the platform is to stop; a second signal ends it at once")
	c.machine.add(f)
	c.compose.add(f)
	c.tls.add(f)
	c.store.add(f)
	pprofFlag(f, &c.pprof)
	return cmd
}

func (c *standaloneCommand) run(ctx context.Context, out io.Writer) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	if c.drain < 0 {
		return errors.New("--drain-timeout must not be negative; 0 answers callers who wait at once, without a result")
	}
	limits := controller.DefaultLimits()
	if err := c.compose.apply(&limits); err != nil {
		return err
	}
	dir, err := dataDir(c.data, "standalone")
	if err != nil {
		return err
	}
	release, err := takeData(dir, "whiskaway standalone")
	if err != nil {
		return err
	}
	defer release()
	if !function.IsLoopback(c.listen) {
		log.Warn("the REST API listens beyond loopback without TLS: put a TLS proxy before it", "address", c.listen)
	}
	state, err := c.store.config()
	if err != nil {
		return err
	}
	api, err := listen(ctx, c.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer api.Close()
	face, err := listenWire(ctx, c.balancerListen, dir, &c.tls, log)
	if err != nil {
		return err
	}
	defer face.close()
	s := standalone{
		log: log, dir: dir, api: api, face: face, labels: append([]string{localLabel}, c.labels...), machine: &c.machine,
		limits: limits, store: state, pprof: c.pprof, drain: c.drain,
	}
	return s.run(ctx, out)
}

// A standalone is all the parts in one process.
type standalone struct {
	log     *slog.Logger
	dir     string
	api     net.Listener
	face    *face
	labels  []string
	machine *machineFlags
	limits  controller.Limits
	store   platform.StoreConfig
	pprof   string
	drain   time.Duration
}

// callersTimeout is the longest that a blocking call may wait.
const callersTimeout = time.Minute

func (s *standalone) run(ctx context.Context, out io.Writer) error {
	hurry, stop := secondSignal(ctx)
	defer stop()
	tokens, err := s.face.tokens(s.dir)
	if err != nil {
		return err
	}
	m, err := findOut(ctx, s.log, s.machine, s.dir)
	if err != nil {
		return err
	}
	defer m.close()
	m.findGPUs(ctx)
	m.measure(ctx, s.dir)
	host, err := m.openServer(ctx, server.Config{Dir: filepath.Join(s.dir, "server"), Labels: s.labels}, s.machine)
	if err != nil {
		return err
	}
	m.tellWalls(host)
	defer closeUnless(hurry, s.log, "the server", host.Close)
	bal, err := balancer.Open(balancer.Config{Dir: filepath.Join(s.dir, "balancer"), Log: s.log})
	if err != nil {
		return err
	}
	defer closeUnless(hurry, s.log, "the balancer", bal.Close)
	handler := wire.NewHandler(wire.HandlerConfig{Host: bal, Auth: tokens, Tokens: tokens, Join: joinBalancer(bal), Log: s.log})
	defer handler.Close()
	plat, err := s.openPlatform(ctx, m.kinds)
	if err != nil {
		return err
	}
	defer closeUnless(hurry, s.log, "the platform", plat.Close)
	return s.serve(ctx, hurry, out, host, bal, handler, plat)
}

func (s *standalone) openPlatform(ctx context.Context, kinds *kind.Set) (*platform.Platform, error) {
	command, err := self("runtime", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	temp := filepath.Join(s.dir, "containers")
	if err := emptyDir(temp); err != nil {
		return nil, err
	}
	env := append(kinds.Environ(),
		"WHISKAWAY_BALANCER="+s.face.localURL,
		"WHISKAWAY_TOKEN_FILE="+filepath.Join(s.dir, "tokens", "client"),
		"WHISKAWAY_ENVIRONMENTS="+filepath.Join(s.dir, "server", "envs"),
		"TMPDIR="+temp,
	)
	driver, err := invoker.NewProcess(invoker.ProcessConfig{Command: command, Env: env, APIHost: apiURL(s.api, hostname()), Log: s.log})
	if err != nil {
		return nil, err
	}
	defer forgetStore()
	return platform.Open(ctx, platform.Config{Dir: s.dir, Driver: driver, Store: s.store, Limits: s.limits, Log: s.log})
}

// serve serves until ctx ends and the platform has ended after that: whoever waits for an
// activation gets the answer, and what runs for it may need the balancer and the server. hurry ends that, too.
func (s *standalone) serve(ctx, hurry context.Context, out io.Writer, host *server.Server, bal *balancer.Balancer, h *wire.Handler, plat *platform.Platform) error {
	props, err := plat.WriteProps(apiURL(s.api, loopback))
	if err != nil {
		return err
	}
	unpublish, err := s.face.publish(s.dir)
	if err != nil {
		return err
	}
	defer unpublish()
	g, working := errgroup.WithContext(ctx)
	if err := servePprof(g, working, s.pprof); err != nil {
		return err
	}
	serving := drainFirst(ctx, working, hurry, g, s.drain, plat.Close)
	g.Go(func() error { return s.face.serve(serving, h) })
	g.Go(func() error { return untilFailed(serving, plat) })
	// Also when something has failed the platform ends before its connections.
	end := func() { closeInTime(s.log, "the platform", plat.Close) }
	rest := wire.Server{Handler: plat.Handler(), Grace: requestGrace, OnShutdown: end, Log: s.log}
	g.Go(func() error { return rest.Serve(serving, s.api) })
	g.Go(func() error {
		err := bal.Join(serving, balancer.Member{ID: host.ID(), Name: host.Name(), Host: host})
		if serving.Err() != nil {
			return nil
		}
		return err
	})
	s.welcome(out, props)
	return waitWithin(hurry, 0, g.Wait)
}

// emptyDir makes dir anew: what a killed platform left there is gone.
func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing what an earlier platform left: %w", err)
	}
	return os.Mkdir(dir, 0o700)
}

// apiURL is where the REST API is reached; name stands for this machine where it
// listens on every address.
func apiURL(l net.Listener, name string) string { return "http://" + reachable(l.Addr(), name) }

func (s *standalone) welcome(out io.Writer, props string) {
	join := "whiskaway server --balancer " + s.face.url + " --token \"$(cat " + filepath.Join(s.dir, "tokens", "join") + ")\" --label gpu"
	fmt.Fprintf(out, `platform listening on %s
balancer listening on %s
data in %s

What to type next, in another terminal:

  export WSK_CONFIG_FILE=%s
  echo 'def main(args): return {"greeting": "Hello, " + args.get("name", "you") + "!"}' > hello.py
  wsk action create hello hello.py
  wsk action invoke hello --result --param name Ada

Run it on another machine: join that one, then say where.

  %s
  wsk action update hello hello.py --main main@gpu

See what is there with: whiskaway status --data %s
`, apiURL(s.api, loopback), s.face.url, s.dir, props, join, s.dir)
}
