package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
	"github.com/whiskaway/whiskaway/platform/invoker/docker"
)

// desktopHost is the name by which containers of Docker Desktop reach the machine that it runs on, its
// loopback too.
const desktopHost = "host.docker.internal"

// containers are the platform's containers of a Docker engine, and the addresses at which these reach
// the platform. What listens on loopback is out of their reach, so it also listens where
// their network's gateway is: on this machine, and known to no other.
type containers struct {
	flags  *dockerFlags
	log    *slog.Logger
	engine *docker.Engine
	kinds  []controller.Kind

	apiHost, balancer string
	api               net.Listener // at the gateway; nil: the usual one is within reach
	face              *face        // the same for the balancer
}

// openContainers finds the engine, and opens what it takes.
func openContainers(ctx context.Context, flags *dockerFlags, api net.Listener, main *face, log *slog.Logger) (*containers, error) {
	kinds, err := flags.kinds()
	if err != nil {
		return nil, err
	}
	engine, err := docker.Connect(ctx, flags.host)
	if err != nil {
		return nil, err
	}
	c := &containers{flags: flags, log: log, engine: engine, kinds: kinds}
	gateway, err := engine.Gateway(ctx, flags.network)
	if err == nil {
		err = c.reach(ctx, gateway, api, main)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// reach finds out, or sees to it, at which addresses containers reach the API and the balancer.
func (c *containers) reach(ctx context.Context, gateway string, api net.Listener, main *face) (err error) {
	isOurs := isOwnAddress(gateway)
	name := hostname() // in a container, the engine's own name service knows it
	switch {
	case isOurs:
		name = gateway
	case c.flags.publish:
		name = desktopHost
	}
	c.apiHost = apiURL(api, name)
	if function.IsLoopback(api.Addr().String()) {
		if err := c.reachAPI(ctx, name, isOurs, api); err != nil {
			return err
		}
	}
	switch {
	case main.cert != nil:
		c.balancer = main.url // it is for certain names only
	case !main.plain():
		c.balancer = "https://" + reachable(main.listener.Addr(), name)
	case !isOurs:
		c.log.Warn("functions in containers cannot reach the balancer: for main@label, let it listen beyond loopback with --balancer-listen", "address", main.url)
	default:
		l, err := listenAt(ctx, gateway, main.listener.Addr())
		if err != nil {
			return err
		}
		c.face = &face{listener: l, authority: main.authority, log: c.log}
		c.balancer = "https://" + l.Addr().String()
	}
	return nil
}

// reachAPI sees to an API that listens on loopback.
func (c *containers) reachAPI(ctx context.Context, name string, isOurs bool, api net.Listener) error {
	if isOurs {
		l, err := listenAt(ctx, name, api.Addr())
		if err != nil {
			return err
		}
		c.api, c.apiHost = l, "http://"+l.Addr().String()
		return nil
	}
	_, port, err := net.SplitHostPort(api.Addr().String())
	if err != nil {
		return fmt.Errorf("the REST API's address: %w", err)
	}
	c.apiHost = "http://" + net.JoinHostPort(name, port)
	if !c.flags.publish {
		c.log.Warn("functions in containers cannot reach the REST API: let it listen beyond loopback with --listen", "address", api.Addr().String())
	}
	return nil
}

// isOwnAddress reports whether an address is one of this machine's.
func isOwnAddress(address string) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.String() == address
	})
}

// listenAt listens at a network's gateway with the port of addr.
func listenAt(ctx context.Context, gateway string, addr net.Addr) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, net.JoinHostPort(gateway, port))
	if err != nil {
		return nil, fmt.Errorf("listening for containers: %w", err)
	}
	return l, nil
}

// driver removes what an earlier run left, and returns what makes the containers. memory is what all of
// them together may have, in megabytes.
func (c *containers) driver(ctx context.Context, dir string, memory int) (*docker.Driver, error) {
	id, err := platformID(dir)
	if err != nil {
		return nil, err
	}
	images := map[string]string{}
	for _, k := range c.kinds {
		images[k.Name] = k.Image
	}
	f := c.flags
	return docker.Open(ctx, c.engine, docker.Config{
		Platform: id, Images: images, Pull: docker.Pull(f.pull), Network: f.network, Publish: f.publish, Memory: memory, CPUs: f.cpus, Pids: f.pids,
		APIHost: c.apiHost, Balancer: c.balancer, Token: clientToken(dir), Log: c.log,
	})
}

// prewarm is what the kinds' stemCells ask for.
func (c *containers) prewarm() (list []invoker.Prewarm) {
	for _, k := range c.kinds {
		for _, cell := range k.StemCells {
			list = append(list, invoker.Prewarm{Kind: k.Name, Count: cell.Count, Memory: cell.Memory})
		}
	}
	return list
}

// clientToken returns what reads the balancer's token for runtimes: it may be replaced while we run.
func clientToken(dir string) func() (string, error) {
	return func() (string, error) {
		token, err := os.ReadFile(filepath.Join(dir, "tokens", "client"))
		if err != nil {
			return "", fmt.Errorf("reading the balancer's token: %w", err)
		}
		return strings.TrimSpace(string(token)), nil
	}
}

// platformID is what the platform's containers bear, so that the next run finds them: a random
// number in the data directory.
func platformID(dir string) (string, error) {
	path := filepath.Join(dir, "platform.id")
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the platform's id: %w", err)
	}
	var random [8]byte
	rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the platform's id: %w", err)
	}
	return id, nil
}

func (c *containers) close() {
	c.engine.Close()
	if c.api != nil {
		c.api.Close()
	}
	if c.face != nil {
		c.face.close()
	}
}
