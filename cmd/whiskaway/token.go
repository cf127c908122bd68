package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/wire"
)

func newToken(o *options) *cobra.Command {
	c := tokenCommand{options: o}
	cmd := &cobra.Command{
		Use:   "token join|client|admin",
		Short: "Print, make, list and revoke tokens of a platform, balancer or server",
		Long: "Print one of the first three tokens of a platform, balancer or server on this machine, or\n" +
			"make, list and revoke tokens, here or from afar.\n\n" +
			"The first three are in the data directory, tokens/join for example. Printing them is for where\n" +
			"there is nothing else to read them with: in a container made from scratch.",
		Args: oneToken,
		RunE: func(cmd *cobra.Command, args []string) error { return printToken(cmd.OutOrStdout(), c.data, args[0]) },
	}
	cmd.PersistentFlags().StringVar(&c.data, "data", "", "the data directory of a platform, balancer or server on this machine (default: that of the one that runs here)")
	cmd.AddCommand(c.newCreate(), c.newList(), c.newRevoke())
	return cmd
}

func oneToken(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say which token, and only one: join, client or admin; or what to do: create, list or revoke")
	}
	return nil
}

func printToken(w io.Writer, data, role string) error {
	switch wire.Role(role) {
	case wire.RoleJoin, wire.RoleClient, wire.RoleAdmin:
	default:
		return fmt.Errorf("there is no token called %q; there are join, client and admin", role)
	}
	dir, err := hostDir(data)
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(dir, "tokens", role))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there are no tokens in %s; start the platform or the balancer, or say with --data where it keeps its data", dir)
	}
	if err != nil {
		return fmt.Errorf("reading the %s token: %w", role, err)
	}
	_, err = fmt.Fprintln(w, strings.TrimSpace(string(token)))
	return err
}
