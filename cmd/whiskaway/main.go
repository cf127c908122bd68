package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/whiskaway/whiskaway/sandbox"
)

// version is set by the Makefile: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == shimCommand {
		os.Exit(sandbox.ShimMain(os.Args[2:])) // before anything that costs memory or time
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(takeToken())
	root.SetArgs(asProxy(takeArgs()))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "whiskaway:", err)
		os.Exit(1)
	}
}
