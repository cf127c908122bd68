package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// runtimePort is where a runtime serves, as the engine writes it.
const runtimePort = "8080/tcp"

// A container is an invoker.Container of the engine's.
type container struct {
	driver         *Driver
	id, name, addr string
	key            string // that callers must show; empty: none, the image is not ours
	since          time.Time
	stream         io.ReadWriteCloser // what it prints; written to: its lifeline
	stdout, stderr *io.PipeReader
	done           chan struct{} // closed when the stream ended
}

// start attaches to a container that was made, starts it, and finds its address.
func (c *container) start(ctx context.Context, lifeline bool) error {
	e := c.driver.engine
	stream, err := e.attach(ctx, c.id, lifeline)
	if err != nil {
		close(c.done)
		return err
	}
	c.follow(stream)
	if lifeline {
		c.key = rand.Text()
		if _, err := fmt.Fprintln(stream, c.key); err != nil {
			return fmt.Errorf("writing to its standard input: %w", err)
		}
	}
	if err := e.start(ctx, c.id); err != nil {
		return err
	}
	known, err := e.inspect(ctx, c.id)
	if err != nil {
		return err
	}
	if c.addr, err = c.address(known); err != nil {
		return err
	}
	if !c.driver.cfg.Publish {
		return nil
	}
	return c.awaitPort(ctx)
}

// follow reads the stream to its end, so that the container never blocks on it.
func (c *container) follow(stream io.ReadWriteCloser) {
	var stdout, stderr *io.PipeWriter
	c.stdout, stdout = io.Pipe()
	c.stderr, stderr = io.Pipe()
	c.stream = stream
	c.driver.tasks.Go(func() {
		defer close(c.done)
		err := demultiplex(stream, stdout, stderr)
		stream.Close()
		stdout.Close()
		stderr.Close()
		c.driver.cfg.Log.Debug("a container's output ended", "name", c.name, "error", err)
	})
}

// address is where the runtime is reached.
func (c *container) address(known inspected) (string, error) {
	if c.driver.cfg.Publish {
		for _, port := range known.NetworkSettings.Ports[runtimePort] {
			return net.JoinHostPort(port.HostIp, port.HostPort), nil
		}
		return c.noAddress(known, "no port")
	}
	own := known.NetworkSettings.Networks[c.driver.cfg.Network]
	if ip := cmp.Or(own.IPAddress, own.GlobalIPv6Address); ip != "" {
		return net.JoinHostPort(ip, "8080"), nil
	}
	return c.noAddress(known, "no address in the network "+c.driver.cfg.Network)
}

// nowhere is the address of a container that has ended already: no connection can be made to it,
// and what it printed belongs to the run that was to come.
const nowhere = "127.0.0.1:0"

func (c *container) noAddress(known inspected, what string) (string, error) {
	if !known.State.Running {
		return nowhere, nil
	}
	return "", fmt.Errorf("the Docker engine gave it %s", what)
}

// probeWithin is how long a published port must keep a connection open to count as the
// runtime's: whoever forwards it takes connections before the runtime listens, and drops them.
const probeWithin = 50 * time.Millisecond

// awaitPort waits until the runtime listens behind its published port.
func (c *container) awaitPort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.driver.engine.changeLimit)
	defer cancel()
	for !listens(ctx, c.addr) {
		select {
		case <-c.done:
			return nil // the run will find out, and take what it printed
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at port 8080 of the container: %w", ctx.Err())
		case <-time.After(probeWithin / 5):
		}
	}
	return nil
}

func listens(ctx context.Context, addr string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(probeWithin)); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// Addr implements invoker.Container.
func (c *container) Addr() string { return c.addr }

// Key implements invoker.Keyed.
func (c *container) Key() string { return c.key }

// Logs implements invoker.Container.
func (c *container) Logs() (stdout, stderr io.ReadCloser) { return c.stdout, c.stderr }

// Pause implements invoker.Container by the engine's freezer.
func (c *container) Pause(ctx context.Context) error { return c.driver.engine.pause(ctx, c.id) }

// Resume implements invoker.Container.
func (c *container) Resume(ctx context.Context) error { return c.driver.engine.unpause(ctx, c.id) }

// Done implements invoker.Container. It is closed when the container's output ended, also
// where only the engine went away: what the container printed from then on cannot be told.
func (c *container) Done() <-chan struct{} { return c.done }

// Kill implements invoker.Container. When the engine is away, the container is removed as soon
// as it is back.
func (c *container) Kill(ctx context.Context) error {
	err := c.remove(ctx)
	if err != nil {
		return fmt.Errorf("removing the container %s: %w", c.name, err)
	}
	return nil
}

// discard ends a container that never came to serve.
func (c *container) discard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.driver.engine.changeLimit)
	defer cancel()
	if err := c.remove(ctx); err != nil {
		c.driver.cfg.Log.Warn("a container that did not start could not be removed yet", "name", c.name, "error", err)
	}
	if c.stream != nil {
		c.stdout.Close()
		c.stderr.Close()
	}
}

// remove removes it, or leaves it to the sweeper, and ends its stream.
func (c *container) remove(ctx context.Context) error {
	err := c.driver.engine.remove(ctx, c.id)
	c.driver.disown(c.name)
	if err != nil {
		c.driver.sweepSoon()
		if c.stream != nil {
			c.stream.Close()
		}
		return err
	}
	// What it printed last is still on its way; the stream ends behind it.
	select {
	case <-c.done:
	case <-ctx.Done():
		c.stream.Close()
	}
	return nil
}

// Exhausted implements invoker.Exhaustible: the kernel ended the container, or one of its
// processes, since it had used up its memory.
func (c *container) Exhausted(ctx context.Context) bool {
	e := c.driver.engine
	if known, err := e.inspect(ctx, c.id); err != nil || known.State.OOMKilled {
		return err == nil
	}
	yes, err := e.ranOutOfMemory(ctx, c.id, c.since)
	return err == nil && yes
}
