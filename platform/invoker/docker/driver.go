package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/invoker"
)

// Config says how the containers are made. A zero field takes the default, where there is one.
type Config struct {
	// Platform is the platform's own id. Containers that bear it and that nobody here knows are removed.
	Platform string
	// Images are the images of the kinds: "python:3" is run by "whiskaway-python:1.0".
	Images map[string]string
	Pull   Pull // PullMissing
	// PullWithin bounds a pull; 0: 10 minutes.
	PullWithin time.Duration
	// Network is the network of the engine's that the containers are in: "bridge".
	Network string
	// Publish reaches the containers by ports of the engine's loopback, where their network
	// cannot be reached.
	Publish bool
	// Memory is what all containers together may have, in megabytes: a container's share
	// of the CPU is that of its memory. 0: 4096.
	Memory int
	CPUs   float64 // that one container may use at most; 0: all
	Pids   int     // processes and threads of one container at most; 0: 1024
	// APIHost is what functions find in __OW_API_HOST.
	APIHost string
	// Balancer, and Token, which reads the token for it, are for client mode, in images that hide
	// the token from functions. Empty: none.
	Balancer string
	Token    func() (string, error)
	Log      *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Pull == "" {
		c.Pull = PullMissing
	}
	if c.PullWithin == 0 {
		c.PullWithin = 10 * time.Minute
	}
	if c.Network == "" {
		c.Network = "bridge"
	}
	if c.Memory == 0 {
		c.Memory = 4096
	}
	if c.Pids == 0 {
		c.Pids = 1024
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// The labels of a container. By the first one it is found again.
const (
	labelPlatform  = "whiskaway.platform"
	labelKind      = "whiskaway.kind"
	labelNamespace = "whiskaway.namespace"
	labelAction    = "whiskaway.action"
)

// A Driver makes containers by a Docker engine; an invoker.Driver.
type Driver struct {
	engine *Engine
	cfg    Config
	run    string // tells this run's containers from those of others
	life   context.Context
	end    context.CancelFunc
	strays chan struct{} // cap 1: there may be containers that nobody knows
	tasks  sync.WaitGroup

	mu    sync.Mutex
	known map[string]bool // the names of the containers that somebody has, or is making
	pulls map[string]*pulling
}

// Open removes what an earlier run of the same platform left, and returns a driver, which
// must be closed. The engine stays the caller's.
func Open(ctx context.Context, engine *Engine, cfg Config) (*Driver, error) {
	if cfg.Platform == "" {
		return nil, errors.New("the docker driver needs the platform's id")
	}
	var id [4]byte
	rand.Read(id[:]) // never fails
	d := &Driver{
		engine: engine, cfg: cfg.withDefaults(), run: hex.EncodeToString(id[:]), strays: make(chan struct{}, 1),
		known: map[string]bool{}, pulls: map[string]*pulling{},
	}
	n, err := d.sweep(ctx)
	if err != nil {
		return nil, fmt.Errorf("removing the containers of an earlier run: %w", err)
	}
	if n > 0 {
		d.cfg.Log.Info("removed the containers that an earlier run had left", "containers", n)
	}
	d.warnOfMissing(ctx)
	d.life, d.end = context.WithCancel(context.WithoutCancel(ctx))
	d.tasks.Go(d.keepSwept)
	return d, nil
}

// warnOfMissing tells an operator early that functions will not start.
func (d *Driver) warnOfMissing(ctx context.Context) {
	for _, kind := range slices.Sorted(maps.Keys(d.cfg.Images)) {
		if _, err := d.engine.image(ctx, d.cfg.Images[kind]); errors.Is(err, errNotHere) {
			d.cfg.Log.Warn("the image of a kind is not on this machine", "kind", kind, "image", d.cfg.Images[kind], "pull", d.cfg.Pull)
		}
	}
}

// Close ends the pulls and removes what is left. The containers must have been killed before.
func (d *Driver) Close(ctx context.Context) error {
	d.end()
	d.tasks.Wait()
	_, err := d.sweep(ctx)
	return err
}

// Start implements invoker.Driver. An image of the user's that cannot be had is an
// *invoker.ImageError.
func (d *Driver) Start(ctx context.Context, spec invoker.Spec) (invoker.Container, error) {
	ref := spec.Image
	if ref == "" {
		if ref = d.cfg.Images[spec.Kind]; ref == "" {
			return nil, fmt.Errorf("there is no image for the kind %s", spec.Kind)
		}
	}
	found, err := d.ensure(ctx, ref)
	if err != nil {
		return nil, whyNoImage(ctx, ref, spec, err)
	}
	found.ours = found.ours && spec.Image == "" // a user's image may bear any label
	body, err := d.body(ref, found, spec)
	if err != nil {
		return nil, err
	}
	name := spec.Name + "-" + d.run
	d.own(name)
	c, err := d.make(ctx, name, body, found.ours)
	if err != nil {
		d.disown(name)
		return nil, fmt.Errorf("starting a container of the image %s: %w", ref, err)
	}
	return c, nil
}

// whyNoImage says what is wrong with an image, and whose fault that is.
func whyNoImage(ctx context.Context, ref string, spec invoker.Spec, err error) error {
	switch {
	case ctx.Err() != nil || isAway(err):
		return err
	case spec.Image != "":
		return &invoker.ImageError{Image: ref, Err: err}
	}
	return fmt.Errorf("the image %s of the kind %s cannot be had (%w): build or pull it, or name another with --image", ref, spec.Kind, err)
}

// make makes a container. When that fails, nothing is left of it, or the sweeper will find it.
func (d *Driver) make(ctx context.Context, name string, body *createBody, lifeline bool) (*container, error) {
	id, err := d.engine.create(ctx, name, body)
	if err != nil {
		d.sweepSoon() // it may be made all the same
		return nil, err
	}
	c := &container{driver: d, id: id, name: name, since: time.Now(), done: make(chan struct{})}
	err = c.start(ctx, lifeline)
	if err != nil {
		c.discard(context.WithoutCancel(ctx))
		return nil, err
	}
	return c, nil
}

func (d *Driver) own(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[name] = true
}

func (d *Driver) disown(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, name)
}

func (d *Driver) owns(names []string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(names, func(name string) bool { return d.known[strings.TrimPrefix(name, "/")] })
}

// body is what the engine is told. The limits are those with which OpenWhisk's invoker starts a
// container (its DockerContainer and ContainerFactory), and no new privileges.
func (d *Driver) body(ref string, img image, spec invoker.Spec) (*createBody, error) {
	env, err := d.environment(img, spec)
	if err != nil {
		return nil, err
	}
	memory := int64(spec.Memory) << 20
	b := &createBody{
		Image: ref,
		Env:   env,
		Labels: map[string]string{
			labelPlatform: d.cfg.Platform, labelKind: spec.Kind, labelNamespace: spec.Namespace, labelAction: spec.Action,
		},
		OpenStdin: img.ours, StdinOnce: img.ours, AttachStdin: img.ours,
		HostConfig: hostConfig{
			NetworkMode: d.cfg.Network,
			Memory:      memory, MemorySwap: memory,
			CPUShares: max(1024*spec.Memory/d.cfg.Memory, 2), NanoCPUs: int64(d.cfg.CPUs * 1e9),
			PidsLimit:   d.cfg.Pids,
			CapDrop:     []string{"NET_RAW", "NET_ADMIN"},
			SecurityOpt: []string{"no-new-privileges"},
			Ulimits:     []ulimit{{"nofile", 1024, 1024}},
			LogConfig:   logConfig{"none"}, // we read along; nothing fills the disk
		},
	}
	if d.cfg.Publish {
		b.ExposedPorts = map[string]struct{}{runtimePort: {}}
		b.HostConfig.PortBindings = map[string][]portBinding{runtimePort: {{HostIP: "127.0.0.1"}}}
	}
	return b, nil
}

func (d *Driver) environment(img image, spec invoker.Spec) ([]string, error) {
	env := []string{"__OW_API_HOST=" + d.cfg.APIHost}
	if img.ours {
		env = append(env, "WHISKAWAY_LIFELINE_FD=0", "WHISKAWAY_LIFELINE_KEY=1")
		if d.cfg.Balancer != "" {
			token, err := d.cfg.Token()
			if err != nil {
				return nil, err
			}
			env = append(env, "WHISKAWAY_BALANCER="+d.cfg.Balancer, "WHISKAWAY_TOKEN="+token)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		env = append(env, name+"="+spec.Env[name])
	}
	return env, nil
}

// sweepSoon lets the sweeper look for containers that nobody knows.
func (d *Driver) sweepSoon() {
	select {
	case d.strays <- struct{}{}:
	default:
	}
}

// The sweeper's times: between two looks when nothing was said, and after a look that failed.
const (
	sweepEvery = time.Minute
	sweepAgain = 2 * time.Second
)

// keepSwept removes containers that nobody knows, until the driver is closed: those that could not
// be removed when they should, since the engine was away or too slow.
func (d *Driver) keepSwept() {
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-timer.C:
		case <-d.strays:
		}
		next := sweepEvery
		if n, err := d.sweep(d.life); err != nil {
			next = sweepAgain
			d.cfg.Log.Debug("looking for containers that nobody knows", "error", err)
		} else if n > 0 {
			d.cfg.Log.Info("removed containers that nobody knew any more", "containers", n)
		}
		timer.Reset(next)
	}
}

// sweep removes the platform's containers that nobody here has, and returns how many there were.
func (d *Driver) sweep(ctx context.Context) (removed int, err error) {
	all, err := d.engine.labelled(ctx, labelPlatform+"="+d.cfg.Platform)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if d.owns(c.Names) {
			continue
		}
		if err := d.engine.remove(ctx, c.ID); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
