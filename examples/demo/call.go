package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// call calls the function cold and warm. After a failure it leaves the rest out.
func (d *demo) call(ctx context.Context, e example) error {
	for i, args := range e.calls {
		if err := d.callOnce(ctx, e, args, i == 0); err != nil {
			return fmt.Errorf("calling %s: %w", e.name, hint(e, err))
		}
	}
	return nil
}

func (d *demo) callOnce(ctx context.Context, e example, args map[string]any, cold bool) error {
	what := "calling " + e.name
	if cold && e.slow != "" {
		what = e.slow
	}
	done := d.say.wait(what)
	r, err := d.api.invoke(ctx, e.name, args, e.limit)
	done()
	if err != nil {
		return err
	}
	if err := r.failure(); err != nil {
		d.say.in(e.name + " failed")
		d.logs(r)
		return err
	}
	j, err := r.journey()
	if err != nil {
		return err
	}
	text, err := e.answer(args, r.Response.Result)
	if err != nil {
		return err
	}
	d.show(e, args, j, text)
	d.logs(r)
	d.rows = append(d.rows, row{name: e.name, journey: j})
	return e.check(j, cold)
}

// check says whether the call went where it should, and was as cold as it should.
func (e example) check(j journey, cold bool) error {
	if e.server != "" && j.Server != e.server {
		return fmt.Errorf("it ran on %q, and not on %s", j.Server, e.server)
	}
	if e.server == "" && j.Server == serverName {
		return fmt.Errorf("it ran on %s, and not in the platform", serverName)
	}
	if j.Cold != cold {
		return fmt.Errorf("the call was %s, and not %s", temperature(j.Cold), temperature(cold))
	}
	return nil
}

// show prints a call and its answer.
func (d *demo) show(e example, args map[string]any, j journey, text string) {
	asked, _ := json.Marshal(args) // our own strings
	_, total := own(j)
	d.say.in(fmt.Sprintf("%s %s  %s, %s", e.name, asked, temperature(j.Cold), took(total)))
	for line := range strings.Lines(text) {
		d.say.in("  " + line)
	}
}

// logs prints the run's logs.
func (d *demo) logs(r record) {
	for _, line := range r.Logs {
		d.say.in("  log  " + logLine(line))
	}
}

// hint adds what a newcomer can do about it, where we can tell.
func hint(e example, err error) error {
	text := strings.ToLower(err.Error())
	if len(e.files) > 1 && strings.Contains(text, "pip ") {
		return fmt.Errorf("%w\nThe first start of %s needs https://pypi.org, or a mirror of it (set PIP_INDEX_URL)", err, e.name)
	}
	return err
}
