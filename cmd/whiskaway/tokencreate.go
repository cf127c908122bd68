package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/wire"
)

func (c *tokenCommand) newCreate() *cobra.Command {
	var spec wire.TokenSpec
	var role string
	cmd := &cobra.Command{
		Use:   "create --role join|client|admin",
		Short: "Make a token, and print it this one time",
		Long: "Make a token, and print it this one time. Only its hash is kept.\n\n" +
			"It is good within a second, also for a platform, balancer or server that runs.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "" {
				return errors.New("say what the token is for: --role join, client or admin")
			}
			spec.Role = wire.Role(role)
			return c.with(cmd.Context(), func(ctx context.Context, m managed) error {
				return createToken(ctx, m, spec, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "", "what it is for: join a balancer, use it as a client, or administer it")
	f.StringVar(&spec.Namespace, "namespace", "", "for a client: the only namespace whose functions it may touch")
	f.StringArrayVar(&spec.Labels, "label", nil, "for join: a label that its servers get, instead of their own word; for a client: one that its functions' servers must have; may be repeated")
	f.DurationVar(&spec.TTL, "ttl", 0, "how long it is good, 720h for example (default: until it is revoked)")
	c.add(cmd)
	return cmd
}

func createToken(ctx context.Context, m managed, spec wire.TokenSpec, out, hints io.Writer) error {
	created, err := m.CreateToken(ctx, spec)
	if err != nil {
		return err
	}
	fmt.Fprintln(hints, hintFor(created.TokenInfo, m.url))
	_, err = fmt.Fprintln(out, created.Text)
	return err
}

// hintFor says what a new token is for, without telling it.
func hintFor(t wire.TokenInfo, url string) string {
	if url == "" {
		url = "URL"
	}
	how := map[wire.Role]string{
		wire.RoleJoin:   "Join a machine:  WHISKAWAY_TOKEN=… whiskaway server --balancer " + url,
		wire.RoleClient: "Let a client use it:  WHISKAWAY_BALANCER=" + url + " WHISKAWAY_TOKEN=…",
		wire.RoleAdmin:  "Administer it:  WHISKAWAY_TOKEN=… whiskaway status --balancer " + url,
	}
	until := "until it is revoked"
	if !t.Expires.IsZero() {
		until = "until " + t.Expires.Format(time.RFC3339)
	}
	return fmt.Sprintf("The token %s is good %s, and shown this one time.\n%s", t.ID, until, how[t.Role])
}
