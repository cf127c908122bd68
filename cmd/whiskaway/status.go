package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// statusTimeout bounds how long `whiskaway status` waits for an answer.
const statusTimeout = 10 * time.Second

type statusCommand struct {
	whom
	asJSON bool
}

func newStatus(o *options) *cobra.Command {
	c := statusCommand{whom: whom{options: o}}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show servers, labels, functions, workers, containers and runs in flight",
		Long: "Show servers, labels, functions, workers and runs in flight, and what waits at the balancer.\n" +
			"A server that is \"draining\" takes nothing new. One that is \"set aside\" has failed again and\n" +
			"again, and is tried with single runs. QUEUED waits at a server.\n\n" +
			"Of a platform it shows the containers, too, that its actions run in: WARM ones wait for the next\n" +
			"run, PAUSED ones as well and use no CPU, PREWARM ones were started in advance, LEAVING ones end.\n\n" + whomHelp,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	c.whom.add(f)
	f.BoolVar(&c.asJSON, "json", false, "print JSON")
	return cmd
}

func (c *statusCommand) run(ctx context.Context, w io.Writer) error {
	url, token, err := c.find()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := askStatus(ctx, url, token)
	if err != nil {
		return c.unanswered(url, err)
	}
	if c.asJSON {
		return json.NewEncoder(w).Encode(status)
	}
	return printStatus(w, status)
}

// settle is how long a status is watched before it is shown. A server tells
// changes at most ten times a second, and a balancer passes them on at most ten
// times a second, so what happened before the question is known after it.
const settle = 250 * time.Millisecond

func askStatus(ctx context.Context, url, token string) (function.Status, error) {
	client, err := wire.NewClient(wire.ClientConfig{URL: url, Token: token})
	if err != nil {
		return function.Status{}, err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var status function.Status
	seen := false
	err = client.Watch(ctx, func(s function.Status) error {
		if !seen {
			time.AfterFunc(settle, cancel)
		}
		status, seen = s, true
		return nil
	})
	if !seen {
		return function.Status{}, err
	}
	return complete(status), nil
}

// complete makes lists of what is missing, so that JSON has no null.
func complete(s function.Status) function.Status {
	if s.Servers == nil {
		s.Servers = []function.ServerStatus{}
	}
	if s.Functions == nil {
		s.Functions = []function.FunctionStatus{}
	}
	for i := range s.Servers {
		v := &s.Servers[i]
		v.Labels, v.Kinds, v.Walls, v.GPUs = orEmpty(v.Labels), orEmpty(v.Kinds), orEmpty(v.Walls), orEmpty(v.GPUs)
	}
	for i := range s.Functions {
		s.Functions[i].Labels = orEmpty(s.Functions[i].Labels)
	}
	for i := range s.Waiting {
		s.Waiting[i].Labels = orEmpty(s.Waiting[i].Labels)
	}
	return s
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func printStatus(w io.Writer, s function.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	names := map[string]string{}
	fmt.Fprintln(t, "SERVER\tLABELS\tKINDS\tWORKERS\tRUNNING\tQUEUED\tCPUS\tMEMORY\tGPU")
	for _, v := range s.Servers {
		names[v.ID] = v.Name
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", nameOf(v), orDash(strings.Join(v.Labels, " ")), kindsOf(v.Kinds),
			v.Workers, v.Running, v.Queued, cpusOf(v), memoryOf(v.Memory), gpusOf(v.GPUs))
	}
	if len(s.Servers) == 0 {
		fmt.Fprintln(t, "no server is connected")
	}
	fmt.Fprintln(t, "\nFUNCTION\tKIND\tMAIN\tNEEDS\tSERVER\tSTATE\tWORKERS\tIDLE\tRUNNING\tQUEUED\tRUNS")
	for _, f := range s.Functions {
		fmt.Fprintf(t, "/%s/%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", f.Namespace, f.Action, f.Kind, f.Main,
			orDash(strings.Join(f.Labels, " ")), names[f.Server], f.State, f.Workers, f.Idle, f.Running, f.Queued, f.Runs)
	}
	if len(s.Functions) == 0 {
		fmt.Fprintln(t, "no function is known")
	}
	printWaiting(t, s.Waiting)
	printPlatform(t, s.Platform)
	return t.Flush()
}

// printWaiting shows what waits at the balancer, if there is anything.
func printWaiting(t io.Writer, waiting []function.WaitingStatus) {
	if len(waiting) == 0 {
		return
	}
	fmt.Fprintln(t, "\nWAITING AT THE BALANCER\tNEEDS\tRUNS\tSTARTS\tLONGEST")
	for _, w := range waiting {
		longest := time.Duration(w.Longest) * time.Millisecond
		fmt.Fprintf(t, "/%s/%s\t%s\t%d\t%d\t%v\n", w.Namespace, w.Action, orDash(strings.Join(w.Labels, " ")), w.Runs, w.Starts, longest)
	}
}

func nameOf(v function.ServerStatus) string {
	switch {
	case v.Draining && v.Aside:
		return v.Name + " (draining, set aside)"
	case v.Draining:
		return v.Name + " (draining)"
	case v.Aside:
		return v.Name + " (set aside)"
	}
	return v.Name
}

func kindsOf(kinds []function.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = k.Name
		if k.Version != "" {
			words[i] += " (" + k.Version + ")"
		}
	}
	return orDash(strings.Join(words, ", "))
}

// cpusOf is how many there are, and how strong each is.
func cpusOf(v function.ServerStatus) string {
	if v.Strength == 0 {
		return strconv.Itoa(v.CPUs)
	}
	return fmt.Sprintf("%d x %.2f", v.CPUs, v.Strength)
}

func memoryOf(m function.Memory) string {
	return fmt.Sprintf("%d of %d MB", m.Used>>20, m.Budget>>20)
}

func gpusOf(gpus []function.GPU) string {
	if len(gpus) == 0 {
		return "no GPU"
	}
	words := make([]string, len(gpus))
	for i, g := range gpus {
		words[i] = fmt.Sprintf("%s (%d MB)", g.Name, g.Memory.Budget>>20)
		if g.Strength > 0 {
			words[i] = fmt.Sprintf("%s (%d MB, x %.2f)", g.Name, g.Memory.Budget>>20, g.Strength)
		}
	}
	return strings.Join(words, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
