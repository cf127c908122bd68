package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/whiskaway/whiskaway/telemetry"
)

// options are the flags that every command has, and the token of WHISKAWAY_TOKEN.
type options struct {
	logLevel, logFormat string
	token               string
}

func (o *options) logger() (*slog.Logger, error) {
	return telemetry.NewLogger(os.Stderr, o.logFormat, o.logLevel)
}

// newRoot makes the command line. token is what takeToken found.
func newRoot(token string) *cobra.Command {
	o := options{token: token}
	root := &cobra.Command{
		Use:   "whiskaway",
		Short: "Run a FaaS platform's functions on machines outside the platform",
		Long: "Whiskaway runs the functions of OpenWhisk on machines with a GPU, wherever they stand.\n" +
			"Start with `whiskaway standalone`: the whole platform on this machine.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(wrongFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&o.logLevel, "log-level", "info", "what to log: debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "text", "how to log: text or json")
	root.AddCommand(newStandalone(&o), newServer(&o), newBalancer(&o), newRuntime(&o), newStatus(&o), newDrain(&o), newToken(&o), newVersion())
	return root
}
