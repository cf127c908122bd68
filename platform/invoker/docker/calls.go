package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// The fields that we use of what the engine's API sends and takes, under its names.

type createBody struct {
	Image        string
	Env          []string
	Labels       map[string]string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	OpenStdin    bool
	StdinOnce    bool
	AttachStdin  bool
	HostConfig   hostConfig
}

type hostConfig struct {
	NetworkMode  string
	Memory       int64 // bytes
	MemorySwap   int64 // bytes; with the memory, so that equal to it means: none
	CPUShares    int   `json:"CpuShares"`
	NanoCPUs     int64 `json:"NanoCpus,omitempty"`
	PidsLimit    int
	CapDrop      []string
	SecurityOpt  []string
	Ulimits      []ulimit
	LogConfig    logConfig
	PortBindings map[string][]portBinding `json:",omitempty"`
}

type ulimit struct {
	Name       string
	Soft, Hard int64
}

type logConfig struct{ Type string }

type portBinding struct{ HostIP, HostPort string }

// An inspected container.
type inspected struct {
	State struct {
		Running   bool
		OOMKilled bool
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress, GlobalIPv6Address string }
		Ports    map[string][]struct{ HostIp, HostPort string }
	}
}

func containerPath(id, what string) string { return "/containers/" + url.PathEscape(id) + what }

func (e *Engine) create(ctx context.Context, name string, body *createBody) (id string, err error) {
	var made struct{ ID string }
	err = e.change(ctx, http.MethodPost, "/containers/create", url.Values{"name": {name}}, body, &made)
	return made.ID, err
}

func (e *Engine) start(ctx context.Context, id string) error {
	return e.change(ctx, http.MethodPost, containerPath(id, "/start"), nil, nil, nil)
}

func (e *Engine) inspect(ctx context.Context, id string) (i inspected, err error) {
	err = e.ask(ctx, http.MethodGet, containerPath(id, "/json"), nil, nil, &i)
	return i, err
}

func (e *Engine) pause(ctx context.Context, id string) error {
	return e.ask(ctx, http.MethodPost, containerPath(id, "/pause"), nil, nil, nil)
}

func (e *Engine) unpause(ctx context.Context, id string) error {
	return e.ask(ctx, http.MethodPost, containerPath(id, "/unpause"), nil, nil, nil)
}

// remove kills a container and removes it with its anonymous volumes. One that is not there, or
// is being removed, is no error.
func (e *Engine) remove(ctx context.Context, id string) error {
	query := url.Values{"force": {"1"}, "v": {"1"}}
	err := e.change(ctx, http.MethodDelete, containerPath(id, ""), query, nil, nil)
	if refusedWith(err, http.StatusNotFound) || refusedWith(err, http.StatusConflict) {
		return nil
	}
	return err
}

// attach opens the stream of what a container prints, in Docker's frames; what is written to
// it is the container's standard input, if it was made with one.
func (e *Engine) attach(ctx context.Context, id string, stdin bool) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.askLimit, &lateError{e.host, e.askLimit})
	defer cancel()
	query := url.Values{"stream": {"1"}, "stdout": {"1"}, "stderr": {"1"}}
	if stdin {
		query.Set("stdin", "1")
	}
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"tcp"}}
	resp, err := e.send(ctx, http.MethodPost, containerPath(id, "/attach"), query, nil, header)
	if err != nil {
		return nil, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		resp.Body.Close()
		return nil, fmt.Errorf("the Docker engine opens no stream for a container: it answered %s", resp.Status)
	}
	return conn, nil
}

// A listed container.
type listed struct {
	ID    string
	Names []string // each with a slash before it
}

// labelled lists the containers, also the ended ones, that bear a label, "name=value".
func (e *Engine) labelled(ctx context.Context, label string) (list []listed, err error) {
	query := url.Values{"all": {"1"}, "filters": {filters(map[string][]string{"label": {label}})}}
	err = e.change(ctx, http.MethodGet, "/containers/json", query, nil, &list)
	return list, err
}

// ranOutOfMemory asks whether the kernel ended a process of a container for its memory since then.
func (e *Engine) ranOutOfMemory(ctx context.Context, id string, since time.Time) (bool, error) {
	now := time.Now()
	query := url.Values{
		"since":   {unixSeconds(since.Add(-time.Second))},
		"until":   {unixSeconds(now)}, // it has passed when the engine reads it: the answer ends at once
		"filters": {filters(map[string][]string{"container": {id}, "event": {"oom"}})},
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.askLimit, &lateError{e.host, e.askLimit})
	defer cancel()
	resp, err := e.send(ctx, http.MethodGet, "/events", query, nil, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	var event struct{ Action string }
	switch err := json.NewDecoder(resp.Body).Decode(&event); err {
	case nil:
		return true, nil
	case io.EOF:
		return false, nil
	default:
		return false, fmt.Errorf("reading the Docker engine's events: %w", err)
	}
}

func unixSeconds(t time.Time) string {
	return strconv.FormatInt(t.Unix(), 10) + "." + fmt.Sprintf("%09d", t.Nanosecond())
}

// filters writes a filter as the engine reads it.
func filters(f map[string][]string) string {
	b, err := json.Marshal(f)
	if err != nil { // cannot be: these are strings
		return "{}"
	}
	return string(b)
}

// A network of the engine's.
type network struct {
	Driver string
	IPAM   struct {
		Config []struct{ Subnet, Gateway string }
	}
}

// Gateway returns the address by which the containers of a network reach the engine's
// machine, or "" where the network has none. It refuses networks in which containers have no
// address of their own.
func (e *Engine) Gateway(ctx context.Context, name string) (string, error) {
	var n network
	err := e.ask(ctx, http.MethodGet, "/networks/"+url.PathEscape(name), nil, nil, &n)
	switch {
	case refusedWith(err, http.StatusNotFound):
		return "", fmt.Errorf("the Docker engine has no network %q: make it with `docker network create %s`, or name another", name, name)
	case err != nil:
		return "", err
	case n.Driver == "host" || n.Driver == "null":
		return "", fmt.Errorf("in the Docker network %q containers have no address of their own; name a bridge or an overlay network", name)
	}
	for _, config := range n.IPAM.Config {
		if config.Gateway != "" {
			return config.Gateway, nil
		}
		// The default bridge may not say it. It is the first address, unless the engine was configured otherwise.
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			return subnet.Masked().Addr().Next().String(), nil
		}
	}
	return "", nil
}
