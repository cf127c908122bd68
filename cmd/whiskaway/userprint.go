package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/platform"
	"github.com/whiskaway/whiskaway/platform/store"
)

// newKeyWords are what is told of a new key.
type newKeyWords struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Auth      string `json:"auth"` // "uuid:key"
}

// printKey prints a new key, and says beside it whose it is.
func printKey(cmd *cobra.Command, asJSON bool, k newKeyWords) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(k)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The key of %s for the namespace %s, shown this one time:\n", k.Name, k.Namespace)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), k.Auth)
	return err
}

func (c *userCommand) newGet() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a user's namespaces; the keys cannot be read again",
		Args:  exactly(1, "who: user get NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				list, err := u.Get(ctx, args[0])
				if err != nil {
					return err
				}
				return printSubjects(cmd.OutOrStdout(), list, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (c *userCommand) newList() *cobra.Command {
	var asJSON bool
	var namespace string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users and their namespaces",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, u *platform.Users) error {
				list, err := u.List(ctx, namespace)
				if err != nil {
					return err
				}
				return printSubjects(cmd.OutOrStdout(), list, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", "only those who have a key for this namespace")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// subjectWords are what is told of a key. Nothing of it is secret.
type subjectWords struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	UUID      string    `json:"uuid"`
	Blocked   bool      `json:"blocked"`
	Created   time.Time `json:"created,omitzero"`
}

func printSubjects(w io.Writer, list []store.Subject, asJSON bool) error {
	if asJSON {
		all := []subjectWords{}
		for _, s := range list {
			all = append(all, subjectWords{s.Name, s.Namespace, s.UUID, s.Blocked, created(s.Created)})
		}
		return json.NewEncoder(w).Encode(all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tNAMESPACE\tUUID\tCREATED\tBLOCKED")
	for _, s := range list {
		blocked := "no"
		if s.Blocked {
			blocked = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Namespace, s.UUID, timeOr(created(s.Created), "-"), blocked)
	}
	return t.Flush()
}
