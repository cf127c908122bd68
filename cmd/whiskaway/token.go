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

func newToken() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "token join|client|admin",
		Short: "Print a token of a platform, balancer or server on this machine",
		Long: "Print a token of a platform, balancer or server on this machine.\n\n" +
			"It is in the data directory, tokens/join for example. This command is for where\n" +
			"there is nothing else to read it with: in a container made from scratch.",
		Args: oneToken,
		RunE: func(cmd *cobra.Command, args []string) error { return printToken(cmd.OutOrStdout(), data, args[0]) },
	}
	cmd.Flags().StringVar(&data, "data", "", "the data directory of a platform, balancer or server on this machine")
	return cmd
}

func oneToken(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say which token, and only one: join, client or admin")
	}
	return nil
}

func printToken(w io.Writer, data, role string) error {
	switch wire.Role(role) {
	case wire.RoleJoin, wire.RoleClient, wire.RoleAdmin:
	default:
		return fmt.Errorf("there is no token called %q; there are join, client and admin", role)
	}
	dir, err := dataDir(data, "standalone")
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
