package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Pull says when images are fetched from their registry.
type Pull string

// The policies. With Always a pull is tried before each start; where it fails, an
// image that is here is still used unless its tag is "latest", as OpenWhisk's invoker does.
const (
	PullAlways  Pull = "always"
	PullMissing Pull = "missing"
	PullNever   Pull = "never"
)

// ParsePull reads a policy.
func ParsePull(s string) (Pull, error) {
	switch p := Pull(s); p {
	case PullAlways, PullMissing, PullNever:
		return p, nil
	}
	return "", fmt.Errorf("%q is not a pull policy: it is always, missing or never", s)
}

// hidesToken is the label of images whose runtime hides its token from the functions, and ends when
// its standard input does.
const hidesToken = "whiskaway.runtime"

// An image is what we must know of one that is here.
type image struct{ ours bool }

var errNotHere = errors.New("the image is not on this machine")

// splitImage parts a reference into what a registry calls it and the tag or digest.
func splitImage(ref string) (name, tag string) {
	if name, digest, found := strings.Cut(ref, "@"); found {
		return name, digest
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i], ref[i+1:]
	}
	return ref, "latest"
}

// registryOf is the registry of a name, under which Docker keeps its credentials.
func registryOf(name string) string {
	first, _, found := strings.Cut(name, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "https://index.docker.io/v1/"
}

func (e *Engine) image(ctx context.Context, ref string) (image, error) {
	var known struct {
		Config struct{ Labels map[string]string }
	}
	err := e.ask(ctx, http.MethodGet, "/images/"+escapeImage(ref)+"/json", nil, nil, &known)
	if refusedWith(err, http.StatusNotFound) {
		return image{}, errNotHere
	}
	return image{ours: known.Config.Labels[hidesToken] == "1"}, err
}

// escapeImage escapes a reference for a path; its slashes stay.
func escapeImage(ref string) string {
	parts := strings.Split(ref, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// pull fetches an image. It takes as long as ctx lets it.
func (e *Engine) pull(ctx context.Context, ref, auth string) error {
	name, tag := splitImage(ref)
	header := http.Header{}
	if auth != "" {
		header.Set("X-Registry-Auth", auth)
	}
	resp, err := e.send(ctx, http.MethodPost, "/images/create", url.Values{"fromImage": {name}, "tag": {tag}}, nil, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for progress := json.NewDecoder(resp.Body); ; {
		var step struct{ Error string }
		switch err := progress.Decode(&step); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the Docker engine's answer: %w", e.unreachable(ctx, err))
		case step.Error != "":
			return &engineError{http.StatusInternalServerError, step.Error}
		}
	}
}

// A pulling is a pull under way, which all who want the image wait for.
type pulling struct {
	done chan struct{}
	err  error // read it when done is closed
}

// ensure sees to it that an image is here, as the policy says.
func (d *Driver) ensure(ctx context.Context, ref string) (image, error) {
	found, err := d.engine.image(ctx, ref)
	here := err == nil
	if err != nil && !errors.Is(err, errNotHere) {
		return found, err
	}
	switch {
	case here && d.cfg.Pull != PullAlways:
		return found, nil
	case d.cfg.Pull == PullNever:
		return found, fmt.Errorf("%w, and the policy is never to pull any", errNotHere)
	}
	err = d.pull(ctx, ref)
	if _, tag := splitImage(ref); err != nil && here && tag != "latest" && ctx.Err() == nil {
		d.cfg.Log.Warn("an image could not be pulled, the one that is here is used", "image", ref, "error", err)
		return found, nil
	}
	if err != nil {
		return found, err
	}
	return d.engine.image(ctx, ref)
}

// pull waits until an image was pulled, or ctx ends; then the pull goes on, and the next who wants
// the image finds it.
func (d *Driver) pull(ctx context.Context, ref string) error {
	d.mu.Lock()
	p := d.pulls[ref]
	if p == nil {
		p = &pulling{done: make(chan struct{})}
		d.pulls[ref] = p
		d.tasks.Go(func() { d.carryOut(p, ref) })
	}
	d.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the pull of %s: %w", ref, context.Cause(ctx))
	}
}

func (d *Driver) carryOut(p *pulling, ref string) {
	ctx, cancel := context.WithTimeoutCause(d.life, d.cfg.PullWithin, fmt.Errorf("the image %s did not come within %s", ref, d.cfg.PullWithin))
	defer cancel()
	began := time.Now()
	d.cfg.Log.Info("pulling an image", "image", ref)
	name, _ := splitImage(ref)
	auth, err := credentials(registryOf(name))
	if err == nil {
		err = d.engine.pull(ctx, ref, auth)
	}
	if err == nil {
		d.cfg.Log.Info("pulled an image", "image", ref, "took", time.Since(began).Round(time.Millisecond))
	}
	d.mu.Lock()
	delete(d.pulls, ref)
	d.mu.Unlock()
	p.err = err
	close(p.done)
}
