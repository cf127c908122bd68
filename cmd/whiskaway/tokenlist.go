package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/wire"
)

func (c *tokenCommand) newList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without what is secret of them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, m managed) error {
				list, err := m.ListTokens(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(orEmpty(list))
				}
				return printTokens(cmd.OutOrStdout(), list, time.Now())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.add(cmd)
	return cmd
}

func printTokens(w io.Writer, list []wire.TokenInfo, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tROLE\tNAMESPACE\tLABELS\tCREATED\tEXPIRES\tLAST USED")
	for _, k := range list {
		expires := timeOr(k.Expires, "never")
		if k.Expired(now) {
			expires = "expired"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, orDash(k.Namespace), orDash(strings.Join(k.Labels, " ")),
			timeOr(k.Created, "-"), expires, timeOr(k.Used, "never"))
	}
	return t.Flush()
}

// timeOr writes a time to the minute, as the reader's clock has it.
func timeOr(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Local().Format("2006-01-02 15:04")
}
