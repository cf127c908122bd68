package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/function"
)

// whom says which balancer or server a command asks, as an admin.
type whom struct {
	*options
	balancer, token, data string
}

const whomHelp = "Asks the balancer of --balancer or WHISKAWAY_BALANCER, with the admin token of --token,\n" +
	"WHISKAWAY_TOKEN or WHISKAWAY_TOKEN_FILE. Without these it asks this machine's own\n" +
	"platform or balancer, whose data directory --data names."

func (c *whom) add(f *pflag.FlagSet) {
	f.StringVar(&c.balancer, "balancer", os.Getenv("WHISKAWAY_BALANCER"), "the balancer's URL")
	f.StringVar(&c.token, "token", "", "its admin token")
	f.StringVar(&c.data, "data", "", "the data directory of a platform or balancer on this machine (default: that of the one that runs here)")
}

// isHere says that this machine's own is asked.
func (c *whom) isHere() bool { return c.balancer == "" || c.data != "" }

// find returns the URL and the token of the balancer to ask.
func (c *whom) find() (url, token string, err error) {
	if !c.isHere() {
		token, err := secretOf(c.token, "")
		if err == nil && token == "" {
			token, err = secretOf(c.options.token, "WHISKAWAY_TOKEN_FILE")
		}
		if err == nil && token == "" {
			err = errors.New("the admin token is missing: give --token or WHISKAWAY_TOKEN; the balancer keeps it in its data directory, tokens/admin")
		}
		return c.balancer, token, err
	}
	dir, err := hostDir(c.data)
	if err != nil {
		return "", "", err
	}
	address, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil {
		return "", "", notRunning(dir)
	}
	admin, err := os.ReadFile(filepath.Join(dir, "tokens", "admin"))
	if err != nil {
		return "", "", fmt.Errorf("reading the admin token: %w", err)
	}
	return strings.TrimSpace(string(address)), strings.TrimSpace(string(admin)), nil
}

// notRunning says what is wrong with a data directory in which no address is.
func notRunning(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "tokens.json")); err == nil {
		return fmt.Errorf("the platform or balancer that keeps its data in %s is not running; start it", dir)
	}
	return fmt.Errorf("no platform or balancer keeps its data in %s; start `whiskaway standalone`, or say whom to ask with --balancer or --data", dir)
}

// unanswered says what is wrong when what find returned gave no answer.
func (c *whom) unanswered(url string, err error) error {
	if c.isHere() && function.CodeOf(err) == function.CodeUnreachable {
		return fmt.Errorf("asking %s: %w; the platform or balancer does not run any more: start it", unnamed(url), err)
	}
	return fmt.Errorf("asking %s: %w", unnamed(url), err)
}

// unnamed is an address for an error, without the name and password that somebody may have written into it.
func unnamed(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "..." + address[i:]
	}
	return address
}
