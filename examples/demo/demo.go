package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A demo is one go at the main job. One goroutine does it all, in order.
type demo struct {
	say                   *console
	binary, dir, examples string
	lock                  *os.File

	before           []process // that mentioned dir before we started anything
	platform, server *child
	balancer         string // its URL
	api              client

	rows     []row
	missing  []string // what this machine lacks, and so was left out
	failures []error
}

// run tells the story. Whatever happens, it stops what it started.
func (d *demo) run(ctx context.Context) {
	d.say.line("Whiskaway's main job: a platform, a separate server, and three functions.")
	err := d.work(ctx)
	if ctx.Err() != nil {
		err, d.failures = nil, nil // we were told to stop: what was under way did not fail
	}
	d.failed(err)
	if len(d.failures) > 0 {
		d.showLogs()
	}
	d.stop()
}

func (d *demo) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer cancel(nil)
	d.say.title("Starting them")
	if err := d.start(ctx); err != nil {
		return err
	}
	for _, c := range []*child{d.platform, d.server} {
		watchers.Go(func() { c.watch(ctx, cancel) })
	}
	d.say.title("Creating the functions")
	made, err := d.create(ctx)
	if err != nil {
		return err
	}
	d.callAll(ctx, made)
	if ctx.Err() != nil {
		return nil // a call has noted why
	}
	d.say.title("whiskaway status")
	return d.status(ctx)
}

// callAll calls the functions and shows the table of where the time went.
func (d *demo) callAll(ctx context.Context, made []example) {
	if len(made) > 0 {
		d.say.title("Calling them: the first call is cold, it starts the function")
	}
	for _, e := range made {
		if ctx.Err() == nil {
			d.failed(d.call(ctx, e))
		}
	}
	if len(d.rows) > 0 {
		d.say.title("Where the time went: milliseconds at each station, without those behind it")
		d.say.in(table(d.rows))
		d.say.in("start: the code is handed over, its environment is made, its first worker comes up")
	}
}

// failed notes that something went wrong, if it did.
func (d *demo) failed(err error) {
	if err != nil {
		d.failures = append(d.failures, err)
	}
}

func (d *demo) start(ctx context.Context) error {
	stopped, err := stopEarlier(d.dir)
	if err != nil {
		return err
	}
	if stopped > 0 {
		d.say.in(fmt.Sprintf("stopped what an earlier demo had left running (%d processes)", stopped))
	}
	if d.before, err = processes(d.dir); err != nil {
		return err
	}
	done := d.say.wait("starting the platform")
	url, err := d.startPlatform(ctx)
	done()
	if err != nil {
		return err
	}
	d.say.in(fmt.Sprintf("platform  %s\nbalancer  %s", url, d.balancer))
	return d.startServer(ctx)
}

// startPlatform returns the platform's URL once it is ready.
func (d *demo) startPlatform(ctx context.Context) (url string, err error) {
	data := filepath.Join(d.dir, "platform")
	d.platform, err = startChild(d.dir, "platform", environ(os.Environ()),
		d.binary, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", data)
	if err != nil {
		return "", err
	}
	if url, err = d.platform.expect(ctx, "platform listening on "); err != nil {
		return "", err
	}
	if d.balancer, err = d.platform.expect(ctx, "balancer listening on "); err != nil {
		return "", err
	}
	d.api.props, err = readProps(filepath.Join(data, "wskprops"))
	return url, err
}

func (d *demo) startServer(ctx context.Context) error {
	env := environ(os.Environ(), "WHISKAWAY_TOKEN_FILE="+d.token("join"))
	var err error
	d.server, err = startChild(d.dir, "server", env, d.binary, "server", "--balancer", d.balancer,
		"--label", serverLabel, "--name", serverName, "--data", filepath.Join(d.dir, "server"))
	if err != nil {
		return err
	}
	if _, err := d.server.expect(ctx, "joined "); err != nil {
		return err
	}
	d.say.in(fmt.Sprintf("server    %s, with the label %s, has joined the balancer", serverName, serverLabel))
	return nil
}

// token is the path of one of the balancer's tokens. Handed over as a file, it
// shows in no list of processes.
func (d *demo) token(name string) string { return filepath.Join(d.dir, "platform", "tokens", name) }

// create makes the functions that this machine can run, and returns them.
func (d *demo) create(ctx context.Context) ([]example, error) {
	var made []example
	for _, e := range examples() {
		if why := unmet(ctx, e.needs); why != nil {
			d.missing = append(d.missing, e.name+" was left out: "+why.Error())
			d.say.in(fmt.Sprintf("%-9s left out: %v", e.name, why))
			continue
		}
		a, err := e.action(d.examples)
		if err != nil {
			return nil, err
		}
		if err := d.api.create(ctx, e.name, a); err != nil {
			return nil, fmt.Errorf("creating %s: %w", e.name, err)
		}
		where := "runs in the platform"
		if e.server != "" {
			where = "runs on " + e.server
		}
		d.say.in(fmt.Sprintf("%-9s %-10s --main %-9s %s", e.name, e.kind, e.main, where))
		made = append(made, e)
	}
	return made, nil
}

func unmet(ctx context.Context, needs []need) error {
	for _, n := range needs {
		if err := lookFor(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// status shows what `whiskaway status` prints.
func (d *demo) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.binary, "status", "--balancer", d.balancer)
	cmd.Env = environ(os.Environ(), "WHISKAWAY_TOKEN_FILE="+d.token("admin"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("whiskaway status: %w: %s", err, out)
	}
	d.say.in(string(out))
	if !strings.Contains(string(out), serverName) {
		return fmt.Errorf("whiskaway status does not know %s", serverName)
	}
	return nil
}
