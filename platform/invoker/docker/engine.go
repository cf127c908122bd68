package docker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultHost is where an engine listens when nothing else is said.
const DefaultHost = "unix:///var/run/docker.sock"

// The versions of the Engine API that this client knows. What it asks for is the same in all of
// them; an engine may know none below its own lowest, so we say one that it knows.
var (
	lowestVersion = apiVersion{1, 40}
	spokenVersion = apiVersion{1, 44}
)

// The limits of the engine's answers. Making and removing containers is slow on a busy machine.
const (
	askWithin    = 10 * time.Second
	changeWithin = 30 * time.Second
)

// An Engine is a Docker engine, as its API shows it.
type Engine struct {
	host string // as the operator says it
	base string // what stands before a path
	http *http.Client
	// How long a call may take that only asks, and one that changes something.
	askLimit, changeLimit time.Duration
}

// An engineError is an engine's refusal.
type engineError struct {
	status  int
	message string
}

func (e *engineError) Error() string { return "the Docker engine says: " + e.message }

// refusedWith reports whether err is an engine's refusal with that HTTP status.
func refusedWith(err error, status int) bool {
	var e *engineError
	return errors.As(err, &e) && e.status == status
}

// Connect finds out which version of the API the engine at host speaks; host empty: the
// one that DOCKER_HOST names, or the default. With DOCKER_TLS_VERIFY or DOCKER_CERT_PATH a tcp
// host is spoken to by TLS, as Docker's own client does.
func Connect(ctx context.Context, host string) (*Engine, error) {
	e := &Engine{host: cmp.Or(host, os.Getenv("DOCKER_HOST"), DefaultHost), askLimit: askWithin, changeLimit: changeWithin}
	transport, err := e.transport()
	if err != nil {
		return nil, err
	}
	e.http = &http.Client{Transport: transport}
	var known struct{ APIVersion, MinAPIVersion string }
	if err := e.ask(ctx, http.MethodGet, "/version", nil, nil, &known); err != nil {
		return nil, err
	}
	version, err := chooseVersion(known.MinAPIVersion, known.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("the Docker engine at %s: %w", e.host, err)
	}
	e.base += "/v" + version.String()
	return e, nil
}

func (e *Engine) transport() (*http.Transport, error) {
	scheme, rest, found := strings.Cut(e.host, "://")
	if !found || rest == "" {
		return nil, fmt.Errorf("the Docker engine's host %q is not like %s or tcp://10.0.0.5:2376", e.host, DefaultHost)
	}
	dialer := &net.Dialer{Timeout: askWithin}
	t := &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}
	switch scheme {
	case "unix":
		e.base = "http://docker"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", rest) }
		return t, nil
	case "tcp", "http", "https":
	default:
		return nil, fmt.Errorf("the Docker engine's host %q: only unix:// and tcp:// are understood; of an engine behind ssh, forward its socket with `ssh -L`", e.host)
	}
	t.DialContext = dialer.DialContext
	e.base = "http://" + rest
	dir := os.Getenv("DOCKER_CERT_PATH")
	if scheme != "https" && dir == "" && os.Getenv("DOCKER_TLS_VERIFY") == "" {
		return t, nil
	}
	e.base = "https://" + rest
	var err error
	t.TLSClientConfig, err = clientTLS(dir)
	return t, err
}

// clientTLS reads ca.pem, cert.pem and key.pem from dir, where they are.
func clientTLS(dir string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if dir == "" {
		return c, nil
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading DOCKER_CERT_PATH: %w", err)
	}
	if err == nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(authority) {
			return nil, fmt.Errorf("%s/ca.pem holds no certificate", dir)
		}
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading DOCKER_CERT_PATH: %w", err)
	}
	if err == nil {
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// An apiVersion is "1.41" in two numbers.
type apiVersion struct{ major, minor int }

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v apiVersion) before(w apiVersion) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func parseVersion(s string) (v apiVersion, err error) {
	major, minor, found := strings.Cut(s, ".")
	v.major, err = strconv.Atoi(major)
	if err == nil && found {
		v.minor, err = strconv.Atoi(minor)
	}
	if err != nil || !found {
		return v, fmt.Errorf("it says that it speaks version %q of the API, which is none", s)
	}
	return v, nil
}

// chooseVersion returns the version to speak with an engine that knows those from lowest
// (which may be empty) to highest.
func chooseVersion(lowest, highest string) (apiVersion, error) {
	most, err := parseVersion(highest)
	if err != nil {
		return most, err
	}
	if most.before(lowestVersion) {
		return most, fmt.Errorf("it speaks version %s of the API, and %s or newer is needed (Docker 19.03)", most, lowestVersion)
	}
	least := lowestVersion
	if lowest != "" {
		if least, err = parseVersion(lowest); err != nil {
			return least, err
		}
	}
	switch {
	case most.before(spokenVersion):
		return most, nil
	case spokenVersion.before(least):
		return least, nil
	}
	return spokenVersion, nil
}

// ask makes a call that is answered soon, change one that takes the engine some time. in goes as JSON,
// out comes as JSON; either may be nil.
func (e *Engine) ask(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return e.within(ctx, e.askLimit, method, path, query, in, out)
}

func (e *Engine) change(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return e.within(ctx, e.changeLimit, method, path, query, in, out)
}

func (e *Engine) within(ctx context.Context, limit time.Duration, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &lateError{e.host, limit})
	defer cancel()
	resp, err := e.send(ctx, method, path, query, in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // the connection can be used again
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("reading the Docker engine's answer: %w", cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

// A lateError says that the engine took too long.
type lateError struct {
	host  string
	limit time.Duration
}

func (l *lateError) Error() string {
	return fmt.Sprintf("the Docker engine at %s did not answer within %s", l.host, l.limit)
}

// send makes a call and returns the answer, whose status is good.
func (e *Engine) send(ctx context.Context, method, path string, query url.Values, in any, header http.Header) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("writing a request to the Docker engine: %w", err)
		}
		body = bytes.NewReader(b)
	}
	target := e.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("a request to the Docker engine: %w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, e.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

func refusal(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("reading the Docker engine's refusal (%s): %w", resp.Status, err)
	}
	var said struct{ Message string }
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = cmp.Or(strings.TrimSpace(string(text)), resp.Status)
	}
	return &engineError{resp.StatusCode, said.Message}
}

// An awayError says that no engine could be asked.
type awayError struct{ err error }

func (a *awayError) Error() string { return a.err.Error() }

func (a *awayError) Unwrap() error { return a.err }

// isAway reports whether err tells of an engine that did not answer, and nothing of what was asked.
func isAway(err error) bool {
	var away *awayError
	var late *lateError
	return errors.As(err, &away) || errors.As(err, &late)
}

// unreachable says why a call came to nothing, and what to do about it.
func (e *Engine) unreachable(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL of a socket that has none
	}
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return fmt.Errorf("asking the Docker engine: %w", cause)
	case errors.Is(err, fs.ErrPermission):
		return &awayError{fmt.Errorf("this user may not use the Docker engine at %s (%w): run as root or as a member of the group docker", e.host, err)}
	}
	return &awayError{fmt.Errorf("the Docker engine at %s cannot be reached (%w): start it, or say where it is with DOCKER_HOST or --docker-host", e.host, err)}
}

// Host is where the engine listens, as the operator says it.
func (e *Engine) Host() string { return e.host }

// Close lets go of the connections to the engine.
func (e *Engine) Close() { e.http.CloseIdleConnections() }
