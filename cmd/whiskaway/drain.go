package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

type drainCommand struct {
	whom
	patience time.Duration
}

func newDrain(o *options) *cobra.Command {
	c := drainCommand{whom: whom{options: o}}
	cmd := &cobra.Command{
		Use:   "drain SERVER",
		Short: "Empty a server, so that its machine can be stopped",
		Long: "Empty a server, so that its machine can be stopped.\n\n" +
			"SERVER is its name or its id, as `whiskaway status` shows them. It takes nothing new,\n" +
			"its runs go on to their end, and its functions are started elsewhere when they are called.\n" +
			"The command waits until no run is left; to give up waiting changes nothing for the server,\n" +
			"and the command may be given again. The server then stays, empty, until it is stopped.\n" +
			"To use it again, stop it and start it.\n\n" + whomHelp,
		Args: oneServer,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), cmd.OutOrStdout(), args[0]) },
	}
	f := cmd.Flags()
	c.whom.add(f)
	f.DurationVar(&c.patience, "timeout", 0, "how long to wait for its runs (default: as long as they take)")
	return cmd
}

func oneServer(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say which server, and only one, by its name or its id; whiskaway status shows them")
	}
	return nil
}

func (c *drainCommand) run(ctx context.Context, w io.Writer, name string) error {
	if c.patience < 0 {
		return errors.New("--timeout must not be negative; leave it out to wait as long as it takes")
	}
	url, token, err := c.find()
	if err != nil {
		return err
	}
	server, err := c.look(ctx, url, token, name)
	if err != nil {
		return err
	}
	client, err := wire.NewClient(wire.ClientConfig{URL: url, Token: token})
	if err != nil {
		return err
	}
	defer client.Close()
	if c.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.patience)
		defer cancel()
	}
	fmt.Fprintf(w, "draining %s (%s); runs under way: %d\n", server.Name, server.ID, server.Running)
	err = client.DrainServer(ctx, server.ID)
	if ctx.Err() != nil {
		return fmt.Errorf("%s takes nothing new, but runs are still under way there; give the same command again to wait for them", server.Name)
	}
	if err != nil {
		return fmt.Errorf("draining %s: %w", server.Name, err)
	}
	fmt.Fprintf(w, "%s is empty: it can be stopped\n", server.Name)
	return nil
}

// look finds the server that a person means.
func (c *drainCommand) look(ctx context.Context, url, token, name string) (function.ServerStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := askStatus(ctx, url, token)
	if err != nil {
		return function.ServerStatus{}, c.unanswered(url, err)
	}
	return meant(status.Servers, name)
}

// meant returns the server with that id, or the only one with that name.
func meant(servers []function.ServerStatus, name string) (function.ServerStatus, error) {
	var found []function.ServerStatus
	var known []string
	for _, s := range servers {
		if s.ID == name {
			return s, nil
		}
		if s.Name == name {
			found = append(found, s)
		}
		known = append(known, s.Name+" ("+s.ID+")")
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return function.ServerStatus{}, fmt.Errorf("%d servers are called %s; give the id of one: %s", len(found), name, strings.Join(known, ", "))
	case len(known) == 0:
		return function.ServerStatus{}, errors.New("no server is connected there")
	}
	return function.ServerStatus{}, fmt.Errorf("no server is called %s; connected are %s", name, strings.Join(known, ", "))
}
