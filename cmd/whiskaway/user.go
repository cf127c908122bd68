package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/platform"
)

// A userCommand manages the users of a platform: in its data directory, or in its database.
type userCommand struct {
	*options
	data  string
	store storeFlags
}

func newUser(o *options) *cobra.Command {
	c := userCommand{options: o}
	cmd := &cobra.Command{
		Use:   "user create|get|list|key|block|unblock|delete|limits",
		Short: "Manage who may use a platform, and how much",
		Long: "Manage who may use a platform, and how much.\n\n" +
			"A user has a key for each of the namespaces that it may use; a namespace may be several users'.\n" +
			"Keys are kept as hashes only, so each is shown once. A change is good within a second, also\n" +
			"for a platform that runs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&c.data, "data", "", "the platform's data directory (default: whiskaway/standalone under the user's state directory)")
	c.store.addURL(f)
	cmd.AddCommand(c.newCreate(), c.newGet(), c.newList(), c.newKey(), c.newBlock(true), c.newBlock(false), c.newDelete(), c.newLimits())
	return cmd
}

// with calls use with the users that are meant.
func (c *userCommand) with(ctx context.Context, use func(context.Context, *platform.Users) error) (err error) {
	dir, err := dataDir(c.data, "standalone")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, manageTimeout)
	defer cancel()
	state, err := c.store.config()
	if err != nil {
		return err
	}
	users, err := platform.OpenUsers(ctx, dir, state.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	return use(ctx, users)
}

// exactly takes that many arguments, and says what they are if there are others.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return errors.New("say " + what)
		}
		return nil
	}
}

func (c *userCommand) newCreate() *cobra.Command {
	var namespace, auth string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a user, or a key of a user for a further namespace, and print the key this one time",
		Long: "Make a user, or a key of a user for a further namespace, and print the key this one time.\n\n" +
			"The key is what wsk takes as AUTH. Only its hash is kept.",
		Args: exactly(1, "who: user create NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			auth, err := given(auth, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				sub, key, err := u.Create(ctx, args[0], namespace, auth)
				if err != nil {
					return err
				}
				return printKey(cmd, asJSON, newKeyWords{sub.Name, sub.Namespace, key})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&namespace, "namespace", "", "the namespace that the key is for (default: one of the user's own name)")
	authFlag(cmd, &auth)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func authFlag(cmd *cobra.Command, auth *string) {
	cmd.Flags().StringVar(auth, "auth", "", "the key to use, UUID:KEY, with a KEY of at least 64 characters; - reads it from standard input (default: a random one)")
}

// given is a flag's value, or what is read in its place.
func given(value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	if value = strings.TrimSpace(string(text)); value == "" {
		return "", errors.New("reading the key: there is none on standard input")
	}
	return value, nil
}

func (c *userCommand) newKey() *cobra.Command {
	var namespace, auth string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Replace a user's key, and print the new one this one time",
		Long: "Replace a user's key, and print the new one this one time. The old one is refused within a second.\n\n" +
			"Where the old one is in wskprops in the data directory, the new one is written there.",
		Args: exactly(1, "whose: user key NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			auth, err := given(auth, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				sub, key, err := u.NewKey(ctx, args[0], namespace, auth)
				if key == "" {
					return err
				}
				return errors.Join(err, printKey(cmd, asJSON, newKeyWords{sub.Name, sub.Namespace, key}))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&namespace, "namespace", "", "the namespace that the key is for (default: the only one that the user has)")
	authFlag(cmd, &auth)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (c *userCommand) newBlock(block bool) *cobra.Command {
	word, short, done := "block", "Refuse users' keys until they are unblocked; what they made stays", "blocked"
	if !block {
		word, short, done = "unblock", "Let blocked users in again", "unblocked"
	}
	return &cobra.Command{
		Use:   word + " NAME...",
		Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("say who: user " + word + " NAME...")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				if err := u.Block(ctx, args, block); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", done, strings.Join(args, ", "))
				return err
			})
		},
	}
}

func (c *userCommand) newDelete() *cobra.Command {
	var namespace string
	var force bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a user, or one of its keys",
		Long: "Remove a user, or one of its keys: it is refused within a second.\n\n" +
			"A namespace for which nobody else has a key must be empty; with --force all that is in it goes\n" +
			"too: actions, triggers, rules, packages, activations and limits.",
		Args: exactly(1, "who: user delete NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				gone, err := u.Delete(ctx, args[0], namespace, force)
				for _, s := range gone {
					fmt.Fprintf(cmd.OutOrStdout(), "deleted: the key of %s for the namespace %s\n", s.Name, s.Namespace)
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&namespace, "namespace", "", "only the key for this namespace")
	f.BoolVar(&force, "force", false, "also what is in a namespace for which nobody else has a key")
	return cmd
}

// created writes a time of milliseconds since 1970.
func created(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
