package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/openserverless"
	"github.com/whiskaway/whiskaway/runtime"
	"github.com/whiskaway/whiskaway/wire"
)

type runtimeCommand struct {
	*options
	listen, pprof      string
	showVersion, debug bool
	compile, env       string
}

func newRuntime(o *options) *cobra.Command {
	c := runtimeCommand{options: o}
	cmd := &cobra.Command{
		Use:   runtimeCommandName,
		Short: "What OpenWhisk calls a runtime: one function behind /init and /run",
		Long: `What OpenWhisk calls a runtime: one function behind /init and /run.

A function whose main says @ runs elsewhere (client mode), any other runs here.
Under the name "proxy" the whole program is this command. It takes the place of
OpenWhisk's action proxy: its flags, also as -debug, and its variables.

  WHISKAWAY_BALANCER     the balancer's URL, for targets that are labels: main@gpu
  WHISKAWAY_TOKEN        its client token, or WHISKAWAY_TOKEN_FILE, a file that holds it
  WHISKAWAY_TOKENS_FILE  lines "host token", for targets that are hosts: main@gpu.example.com
  WHISKAWAY_LEASE        how long a function stays that this runtime no longer asks for (60s)
  WHISKAWAY_KIND         the functions' kind: python:3, nodejs:20, go:1 or native
  WHISKAWAY_REMOTE_ONLY  1: a function whose main says no @ is refused
  WHISKAWAY_PREPARE      1: get ready for a function here before there is one; for containers started in advance
  WHISKAWAY_PLAIN_HTTP   hosts of OpenServerless that may be reached without TLS: 10.0.0.5:8080
  OW_COMPILER            a script "compile MAIN SRC_DIR BIN_DIR" for functions that run here
  OW_WAIT_FOR_ACK, OW_EXECUTION_ENV, OW_SAVE_JAR, OW_LOG_INIT_ERROR, OW_DEBUG

Of OpenServerless's variables, OW_ACTIVATE_PROXY_CLIENT=1 lets a target that is a
host be asked whether it is Whiskaway's or OpenServerless's, and
OW_ACTIVATE_PROXY_SERVER=1 makes this a server: for clients that show
WHISKAWAY_TOKEN, as "whiskaway server --listen" does, or with
WHISKAWAY_OPENSERVERLESS_NAMESPACE for OpenServerless's own clients, as
"whiskaway server --openserverless" does.`,
		Args: noArguments,
		RunE: c.main,
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", ":8080", "where it listens")
	f.BoolVar(&c.showVersion, "version", false, "print the version, and end")
	f.BoolVar(&c.debug, "debug", false, "log what happens: OW_DEBUG=1 and --log-level debug")
	f.StringVar(&c.compile, "compile", "", "compile the code on standard input, whose main is this, to a zip on standard output, and end")
	f.StringVar(&c.env, "env", "", "with --compile: the init environment, as a JSON object")
	pprofFlag(f, &c.pprof)
	return cmd
}

// main does what the flags ask for.
func (c *runtimeCommand) main(cmd *cobra.Command, _ []string) error {
	if c.showVersion {
		fmt.Fprintln(cmd.OutOrStdout(), versionLine())
		return nil
	}
	if c.debug {
		if err := os.Setenv("OW_DEBUG", "1"); err != nil {
			return fmt.Errorf("setting OW_DEBUG: %w", err)
		}
		if !cmd.Flags().Changed("log-level") {
			c.logLevel = "debug"
		}
	}
	if cmd.Flags().Changed("compile") {
		return c.compileCode(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
	}
	if cmd.Flags().Changed("env") {
		return errors.New("--env belongs to --compile; a function's environment comes with its /init")
	}
	return c.run(cmd.Context(), cmd.OutOrStdout())
}

func (c *runtimeCommand) run(ctx context.Context, out io.Writer) error {
	if isOn(os.Getenv("OW_ACTIVATE_PROXY_SERVER")) {
		s, err := c.asServer()
		if err != nil {
			return err
		}
		return s.run(ctx, out)
	}
	log, err := c.runtimeLogger()
	if err != nil {
		return err
	}
	var temp scratch
	defer temp.remove()
	hosts := &hosts{temp: &temp, log: log, token: c.token, settings: readSettings()}
	key, err := watchLifeline(os.Getenv("WHISKAWAY_LIFELINE_FD"), isOn(os.Getenv("WHISKAWAY_LIFELINE_KEY")), hosts.abandon)
	if err != nil {
		return err
	}
	l, err := listen(ctx, c.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	defer hosts.close()
	return c.serve(ctx, l, hosts, callerKey(key), log)
}

// asServer is what OpenServerless's variable makes of a runtime. There is one address, so
// it is for one sort of clients.
func (c *runtimeCommand) asServer() (*serverCommand, error) {
	s := &serverCommand{options: c.options, pprof: c.pprof, drain: closeTimeout, machine: containerFlags("80%")}
	token, err := secretOf(c.token, "WHISKAWAY_TOKEN_FILE")
	if err != nil {
		return nil, err
	}
	namespace := os.Getenv("WHISKAWAY_OPENSERVERLESS_NAMESPACE")
	switch {
	case namespace == "" && token == "":
		return nil, errors.New("OW_ACTIVATE_PROXY_SERVER makes this a server, but it is not said for whom: set WHISKAWAY_TOKEN, a long random secret that Whiskaway's clients show, " +
			"or WHISKAWAY_OPENSERVERLESS_NAMESPACE, the namespace of OpenServerless's clients, who know no tokens")
	case namespace != "" && token != "":
		return nil, errors.New("WHISKAWAY_TOKEN and WHISKAWAY_OPENSERVERLESS_NAMESPACE are both set, but OpenServerless's clients know no tokens: unset one of the two")
	case token != "":
		s.listen, s.tokens = c.listen, one(token)
	default:
		s.openServerless = openServerlessFlags{listen: c.listen, namespace: namespace, kind: cmp.Or(os.Getenv("WHISKAWAY_KIND"), defaultKind), idle: openserverless.DefaultIdle}
	}
	return s, nil
}

func (c *runtimeCommand) serve(ctx context.Context, l net.Listener, h *hosts, key callerKey, log *slog.Logger) error {
	lease, err := leaseFrom(os.Getenv("WHISKAWAY_LEASE"))
	if err != nil {
		return err
	}
	s := h.settings
	r := runtime.New(runtime.Config{
		Local: h.local, LocalKind: s.localKind(), LocalConcurrency: s.localConcurrency(), LocalAck: s.mustAck,
		Remote: h.remote, Kind: s.kind, LogInitErrors: s.logInitErrors, LeaseTTL: lease,
		APIHost: os.Getenv("__OW_API_HOST"), AllowConcurrent: s.concurrent, Stdout: os.Stdout, Stderr: os.Stderr, Log: log})
	defer closeWithin(leaseTimeout, log, "the function", r.Close)
	g, ctx := errgroup.WithContext(ctx)
	if err := servePprof(g, ctx, c.pprof); err != nil {
		return err
	}
	trimmer := newTrimmer(key.guard(r.Handler()))
	face := wire.Server{Handler: trimmer, Grace: runtimeGrace, Last: runtimeLast, Log: log}
	g.Go(func() error { return face.Serve(ctx, l) })
	g.Go(func() error { return trimmer.run(ctx) })
	if err := tellReady(os.Getenv("WHISKAWAY_READY_FD"), l.Addr().String()); err != nil {
		return err
	}
	if isOn(os.Getenv("WHISKAWAY_PREPARE")) && !isOn(os.Getenv("WHISKAWAY_REMOTE_ONLY")) {
		g.Go(func() error { h.prepare(ctx); return nil })
	}
	return waitWithin(ctx, runtimeGrace+runtimeLast+time.Second, g.Wait)
}

// The lease's time to live is bounded as servers bound it.
const minLease, maxLease = time.Second, time.Hour

// leaseFrom reads WHISKAWAY_LEASE; 0 means the default.
func leaseFrom(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	ttl, err := time.ParseDuration(value)
	if err != nil || ttl < minLease || ttl > maxLease {
		return 0, fmt.Errorf("WHISKAWAY_LEASE=%q is not a time from %v to %v, such as 60s or 5m", value, minLease, maxLease)
	}
	return ttl, nil
}

// runtimeLogger logs only when the operator debugs: a container's stdout and
// stderr belong to the function's logs.
func (c *runtimeCommand) runtimeLogger() (*slog.Logger, error) {
	if !isOn(os.Getenv("OW_DEBUG")) {
		return slog.New(slog.DiscardHandler), nil
	}
	return c.logger()
}

// isOn reads a switch as the Go action proxy and OpenServerless do: set and not
// "0" or "false".
func isOn(value string) bool {
	on, err := strconv.ParseBool(value)
	return value != "" && (err != nil || on)
}
