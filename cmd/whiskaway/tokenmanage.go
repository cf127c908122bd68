package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/wire"
)

// manageTimeout bounds how long a command on tokens may take.
const manageTimeout = 30 * time.Second

// A tokenCommand manages the tokens of a host: in its data directory, or by asking it.
type tokenCommand struct {
	*options
	data, balancer, token string
}

// managed is where a host's tokens are, and its address for others, if that is known.
type managed struct {
	wire.TokenKeeper
	dir, url string // dir is "" from afar
	close    func() error
}

// add adds the flags for a host that is elsewhere.
func (c *tokenCommand) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.balancer, "balancer", os.Getenv("WHISKAWAY_BALANCER"), "the URL of a balancer or server elsewhere, unless --data is given")
	f.StringVar(&c.token, "token", "", "its admin token (default: WHISKAWAY_TOKEN, or the file of WHISKAWAY_TOKEN_FILE)")
}

// with calls use with the tokens that are meant.
func (c *tokenCommand) with(ctx context.Context, use func(context.Context, managed) error) error {
	m, err := c.open()
	if err != nil {
		return err
	}
	defer m.close()
	ctx, cancel := context.WithTimeout(ctx, manageTimeout)
	defer cancel()
	if err := use(ctx, m); err != nil {
		if m.dir == "" {
			return fmt.Errorf("asking %s: %w", unnamed(m.url), err)
		}
		return err
	}
	return nil
}

func (c *tokenCommand) open() (managed, error) {
	if c.balancer != "" && c.data == "" {
		asked := whom{options: c.options, balancer: c.balancer, token: c.token}
		url, token, err := asked.find()
		if err != nil {
			return managed{}, err
		}
		client, err := wire.NewClient(wire.ClientConfig{URL: url, Token: token})
		if err != nil {
			return managed{}, err
		}
		return managed{TokenKeeper: client, url: url, close: client.Close}, nil
	}
	dir, err := hostDir(c.data)
	if err != nil {
		return managed{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, "tokens.json")); errors.Is(err, fs.ErrNotExist) {
		return managed{}, fmt.Errorf("there are no tokens in %s; start the platform, the balancer or the server that keeps its data there first, or say with --data where that is, or with --balancer whom to ask", dir)
	}
	url, _ := os.ReadFile(filepath.Join(dir, urlFile)) // there while the host runs
	return managed{TokenKeeper: wire.TokenDir(dir), dir: dir, url: strings.TrimSpace(string(url)), close: func() error { return nil }}, nil
}

func (c *tokenCommand) newRevoke() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token: it is refused within a second",
		Long: "Revoke a token: it is refused within a second, also by a platform, balancer or server that runs.\n\n" +
			"Servers that joined with it are dropped, and status streams end. A client's runs that are\n" +
			"under way go on; what it started is stopped when its leases end.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("say which token, by the ID that `whiskaway token list` shows")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, m managed) error {
				if err := mayRevoke(m.dir, args[0], force); err != nil {
					return err
				}
				return m.RevokeToken(ctx, args[0], force)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also the last admin token, or the one that the platform itself uses")
	c.add(cmd)
	return cmd
}

// mayRevoke keeps a platform from losing the token that its own runtimes use.
func mayRevoke(dir, id string, force bool) error {
	if dir == "" || id != string(wire.RoleClient) || force {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "platform.db")); err != nil {
		return nil
	}
	return fmt.Errorf("the platform in %s runs its own functions with the token client; with --force it is revoked all the same, and they fail", dir)
}
