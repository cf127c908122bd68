package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// logLines is how much of each log is shown after a failure.
const logLines = 15

// stop stops what was started, the server first, and checks that no process is
// left, not even one of a function.
func (d *demo) stop() {
	d.say.title("Stopping")
	done := d.say.wait("stopping")
	var started int
	for _, c := range []*child{d.server, d.platform} {
		if c != nil {
			started++
			// Who ended by itself has failed a call, which says so already.
			if err := c.stop(); !errors.Is(err, errEnded) || len(d.failures) == 0 {
				d.failed(err)
			}
		}
	}
	left, err := waitGone(goneIn, func() ([]process, error) {
		all, err := processes(d.dir)
		return without(all, d.before), err
	})
	done()
	d.failed(err)
	switch {
	case len(left) > 0:
		d.failed(fmt.Errorf("%d processes are left:%s", len(left), list(left)))
		d.say.in(fmt.Sprintf("%d processes are left", len(left)))
	case err == nil && started > 0:
		d.say.in("everything is stopped; no process is left")
	case err == nil:
		d.say.in("nothing was started")
	}
}

func list(all []process) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "\n  %v", p)
	}
	return b.String()
}

// showLogs shows the end of the platform's and the server's logs.
func (d *demo) showLogs() {
	for _, c := range []*child{d.platform, d.server} {
		if c != nil {
			d.say.title("The last lines of " + c.log)
			d.say.in(c.tail(logLines))
		}
	}
}

// verdict prints how it went and returns the exit code.
func (d *demo) verdict(ctx context.Context) int {
	if len(d.failures) > 0 {
		d.say.title("The demo failed:")
		for _, err := range d.failures {
			d.say.in("- " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
		}
	}
	if len(d.missing) > 0 {
		d.say.title("The demo is not complete:")
		for _, text := range d.missing {
			d.say.in("- " + text)
		}
	}
	switch {
	case ctx.Err() != nil:
		d.say.title("The demo was interrupted.")
		return 130
	case len(d.failures)+len(d.missing) > 0:
		return 1
	}
	d.say.title("That was the main job. Do it by hand: README.md and examples/README.md.")
	return 0
}
