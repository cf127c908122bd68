package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/openserverless"
	"github.com/whiskaway/whiskaway/wire"
)

// openServerlessFlags say whether, and how, OpenServerless's clients are served.
type openServerlessFlags struct {
	listen, namespace, kind string
	idle                    time.Duration
}

// defaultKind is what OpenServerless's clients are mostly for.
const defaultKind = "python:3"

func (o *openServerlessFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "openserverless", "", "serve the client mode of OpenServerless's runtimes at this address, by plain http and without tokens: whoever reaches it can run code here")
	f.StringVar(&o.namespace, "namespace", "", "the namespace that all functions of --openserverless belong to")
	f.StringVar(&o.kind, "openserverless-kind", defaultKind, "the kind of the functions of --openserverless, unless their main says another, as in main&kind=nodejs:20")
	f.DurationVar(&o.idle, "openserverless-idle", openserverless.DefaultIdle, "how long a client of --openserverless may be silent before it holds its function no more; it is forgotten after six times as long")
}

func (o *openServerlessFlags) check() error {
	switch {
	case o.listen == "" && o.namespace != "":
		return errors.New("--namespace goes with --openserverless: other clients' namespaces follow from their tokens")
	case o.listen == "":
		return nil
	case o.namespace == "":
		return errors.New("--openserverless needs --namespace: its clients show no token that could say whose their functions are")
	case o.idle < time.Second || o.idle > time.Hour: // no server grants longer leases
		return fmt.Errorf("--openserverless-idle %v: it is a time from 1s to 1h", o.idle)
	}
	return nil
}

// serve answers OpenServerless's clients, in g. dir is the server's data directory.
func (o *openServerlessFlags) serve(g *errgroup.Group, ctx context.Context, out io.Writer, host function.Host, dir string, log *slog.Logger) error {
	face, err := openserverless.NewFace(openserverless.Config{
		Host: host, Namespace: o.namespace, Kind: o.kind, Idle: o.idle, Dir: filepath.Join(dir, "openserverless"), Log: log,
	})
	if err != nil {
		return fmt.Errorf("serving OpenServerless's clients: %w", err)
	}
	l, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	warning := o.warning(l.Addr().String())
	log.Warn(warning, "address", l.Addr().String(), "namespace", o.namespace)
	fmt.Fprintf(out, "openserverless listening on http://%s for the namespace %s\nWARNING: %s\n", l.Addr(), o.namespace, warning)
	s := wire.Server{Handler: face, Grace: requestGrace, Idle: theirIdle, Log: log}
	g.Go(func() error { return s.Serve(ctx, l) })
	return nil
}

// theirIdle is longer than their clients keep an idle connection, which is as long as Go's default
// transport does, 90 s: else a run could be written into one that we just close, and be lost.
const theirIdle = 3 * time.Minute

// warning says what the operator takes on.
func (o *openServerlessFlags) warning(addr string) string {
	text := "OpenServerless's clients show no token, so nothing can be checked here: whoever reaches this address can run any code on this machine, and call the functions of all its clients"
	if function.IsLoopback(addr) {
		return text + "; it is on loopback, so that is every user and program of this machine"
	}
	return text + "; it is NOT on loopback, and there is NO encryption: let only the platform's own network reach it, by a firewall, a tunnel or a proxy that checks who calls"
}
