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
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/balancer"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/platform"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
	"github.com/whiskaway/whiskaway/platform/invoker/docker"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/sandbox/cgroup"
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
	limits                              platformLimits
	pool                                poolFlags
	docker                              dockerFlags
	compose                             composeFlags
	tls                                 tlsFlags
	store                               storeFlags
}

func newStandalone(o *options) *cobra.Command {
	c := standaloneCommand{options: o}
	cmd := &cobra.Command{
		Use:   "standalone",
		Short: "The whole platform on this machine: OpenWhisk's API, a load balancer and a server",
		Long: "The whole platform on this machine: OpenWhisk's API, a load balancer and a server.\n\n" +
			"It needs no flags. The first start makes a data directory with an API key; it prints what to\n" +
			"type next, with wsk or curl. Ctrl-C stops it, and the next start has all that was made.\n" +
			"More users: `whiskaway user`. What is there now: `whiskaway status`.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd.Flags(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false // there are many: what belongs together stands together
	f.StringVar(&c.listen, "listen", "127.0.0.1:3233", "where the platform's REST API listens")
	f.StringVar(&c.balancerListen, "balancer-listen", "127.0.0.1:3234", "where the load balancer listens")
	f.StringVar(&c.data, "data", "", "the data directory (default: whiskaway/standalone under the user's state directory)")
	f.StringArrayVar(&c.labels, "label", nil, "a further label of this machine's own server; may be repeated")
	f.DurationVar(&c.drain, "drain-timeout", callersTimeout, "how long callers who wait for an activation are still served when the platform is to stop; a second signal ends it at once")
	c.store.add(f)
	c.limits.add(f)
	c.compose.add(f)
	c.pool.add(f)
	c.docker.add(f)
	c.machine.add(f)
	c.tls.add(f)
	pprofFlag(f, &c.pprof)
	return cmd
}

func (c *standaloneCommand) run(ctx context.Context, flags *pflag.FlagSet, out io.Writer) error {
	inContainers, err := c.docker.validate(flags)
	if err != nil {
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	limits, err := c.limits.limits()
	if err != nil {
		return err
	}
	if c.drain < 0 {
		return errors.New("--drain-timeout must not be negative; 0 answers callers who wait at once, without a result")
	}
	if err := c.compose.apply(&limits); err != nil {
		return err
	}
	pool, err := c.pool.config()
	if err != nil {
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
	var containers *containers
	if inContainers {
		if containers, err = openContainers(ctx, &c.docker, api, face, log); err != nil {
			return err
		}
		defer containers.close()
	}
	s := standalone{
		log: log, containers: containers, dir: dir, api: api, face: face, labels: append([]string{localLabel}, c.labels...),
		machine: &c.machine, pool: pool, limits: limits, store: state, pprof: c.pprof, drain: c.drain,
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
	pool    invoker.Config
	pprof   string
	drain   time.Duration

	containers *containers // nil: actions run in processes
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
	if !m.walls.Hides() && s.containers == nil {
		s.log.Warn("actions that run on this machine can read the platform's keys and data: let only people that you trust create actions", "sandbox", s.machine.sandbox)
	}
	defer closeUnless(hurry, s.log, "the server", host.Close)
	bal, err := balancer.Open(balancer.Config{Dir: filepath.Join(s.dir, "balancer"), Log: s.log})
	if err != nil {
		return err
	}
	defer closeUnless(hurry, s.log, "the balancer", bal.Close)
	front := &platformHost{Balancer: bal}
	handler := wire.NewHandler(wire.HandlerConfig{Host: front, Auth: tokens, Tokens: tokens, Join: joinBalancer(bal), Log: s.log})
	defer handler.Close()
	config, err := s.platformConfig(ctx, m.kinds)
	if err != nil {
		return err
	}
	if d, ok := config.Driver.(*docker.Driver); ok {
		defer closeInTime(s.log, "the containers", d.Close)
	}
	defer s.sweepGroups() // what runtimes left that had to be killed
	plat, err := platform.Open(ctx, config)
	forgetStore()
	if err != nil {
		return err
	}
	front.platform.Store(plat)
	defer closeUnless(hurry, s.log, "the platform", plat.Close)
	return s.serve(ctx, hurry, out, host, bal, handler, plat)
}

// platformConfig says what the platform is, with the driver that it is to use.
func (s *standalone) platformConfig(ctx context.Context, kinds *kind.Set) (platform.Config, error) {
	config := platform.Config{Dir: s.dir, Invoker: s.pool, Limits: s.limits, Store: s.store, Log: s.log}
	if s.containers != nil {
		driver, err := s.containers.driver(ctx, s.dir, s.pool.Memory)
		config.Driver, config.Kinds, config.Blackbox = driver, s.containers.kinds, true
		config.Invoker.Prewarm = slices.Concat(s.containers.prewarm(), s.pool.Prewarm)
		return config, err
	}
	driver, err := s.processDriver(kinds)
	config.Driver = driver
	return config, err
}

func (s *standalone) processDriver(kinds *kind.Set) (invoker.Driver, error) {
	command, err := self("runtime", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	temp := filepath.Join(s.dir, "containers")
	if err := emptyDir(temp); err != nil {
		return nil, err
	}
	s.sweepGroups()
	walls, err := s.machine.localWalls(s.dir)
	if err != nil {
		return nil, err
	}
	env := append(append(kinds.Environ(), walls...),
		"WHISKAWAY_BALANCER="+s.face.localURL,
		"WHISKAWAY_TOKEN_FILE="+filepath.Join(s.dir, "tokens", "client"),
		"WHISKAWAY_ENVIRONMENTS="+filepath.Join(s.dir, "server", "envs"),
		"TMPDIR="+temp,
	)
	return invoker.NewProcess(invoker.ProcessConfig{Command: command, Env: env, APIHost: apiURL(s.api, hostname()), Freeze: sandbox.Freeze, Log: s.log})
}

// sweepGroups removes the control groups of runtimes that have ended without doing so.
func (s *standalone) sweepGroups() {
	if err := cgroup.Sweep(containerGroups(s.dir)); err != nil {
		s.log.Warn("control groups of runtimes could not be removed", "error", err)
	}
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
	if c := s.containers; c != nil && c.api != nil {
		within := wire.Server{Handler: plat.Handler(), Grace: requestGrace, Log: s.log}
		g.Go(func() error { return within.Serve(serving, c.api) })
	}
	if c := s.containers; c != nil && c.face != nil {
		g.Go(func() error { return c.face.serve(serving, h) })
	}
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

wsk is one file: https://github.com/apache/openwhisk-cli/releases. Without it, any client of OpenWhisk's REST API
will do; APIHOST and AUTH in that file are the address and the key:

  . %s
  curl -u "$AUTH" $APIHOST/api/v1/namespaces/_/actions

Run it on another machine: join that one, then say where.

  %s
  wsk action update hello hello.py --main main@gpu

See what is there with: whiskaway status --data %s
`, apiURL(s.api, loopback), s.face.url, s.dir, props, props, join, s.dir)
}
