package function

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Target is what follows "@" in an action's main: where the function runs,
// and what it needs there.
type Target struct {
	// Host is the URL of the balancer or server to go to; empty means the
	// client's own balancer.
	Host string
	// Protocol is what Host speaks; empty: the target does not say.
	Protocol Protocol
	// Kind overrides the client's kind when it is not empty.
	Kind    string
	Require Requirements
}

// A Protocol is a way to speak to a host. It makes no function another one.
type Protocol string

// The protocols.
const (
	ProtocolWhiskaway      Protocol = "whiskaway"
	ProtocolOpenServerless Protocol = "openserverless" // that of Apache OpenServerless's runtimes
)

// ParseMain splits an action's main into the function's name and its target.
// Without "@" the target is nil: the function runs here.
//
//	main@gpu                                  a server with the label gpu
//	main@gpu&region=eu&memory=8g              two labels and a requirement
//	main@gpu.example.com, main@10.0.0.1:8080  that host, by https
//	main@https://gpu.example.com?memory=8g    that host, with a requirement
//	main@gpu.example.com?protocol=openserverless  that host, which is OpenServerless's
//	@gpu                                      the function called "main"
//
// A bare first word is a label; one with a dot, a port or a scheme is a host.
// Requirements are memory, gpu (a number), gpu-memory, workers, warm,
// concurrency and kind; a host may have a protocol; any other name=value is a
// label.
func ParseMain(main string) (name string, target *Target, err error) {
	name, rest, found := strings.Cut(main, "@")
	if name == "" {
		name = "main"
	}
	if !found {
		return name, nil, nil
	}
	t, err := parseTarget(rest)
	if err != nil {
		return "", nil, Errorf(CodeBadRequest, "the target %q in main: %v", "@"+withoutCredentials(rest), err)
	}
	return name, t, nil
}

func parseTarget(text string) (*Target, error) {
	if text == "" {
		return nil, fmt.Errorf("nothing follows the @; write a label, as in main@gpu, or a host, as in main@gpu.example.com")
	}
	var t Target
	first, terms := text, ""
	if i := strings.IndexAny(text, "?&"); i >= 0 {
		first, terms = text[:i], text[i+1:]
	}
	if isHost(first) {
		host, err := hostURL(first)
		if err != nil {
			return nil, err
		}
		t.Host = host
	} else if err := t.add(first); err != nil {
		return nil, err
	}
	if terms == "" && len(first) != len(text) {
		return nil, fmt.Errorf("nothing follows %q", text[len(first):])
	}
	for terms != "" {
		var term string
		term, terms, _ = strings.Cut(terms, "&")
		if err := t.add(term); err != nil {
			return nil, err
		}
	}
	if t.Protocol != "" && t.Host == "" {
		return nil, fmt.Errorf("a protocol belongs to a host; write main@gpu.example.com?protocol=%s, for example", t.Protocol)
	}
	slices.Sort(t.Require.Labels)
	t.Require.Labels = slices.Compact(t.Require.Labels)
	return &t, nil
}

// isHost tells a host from a label or requirement.
func isHost(first string) bool {
	return !strings.Contains(first, "=") && strings.ContainsAny(first, ".:/")
}

func hostURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("not a URL that could be understood")
	}
	if u.User != nil {
		return "", fmt.Errorf("a URL must not carry a user or a password; put the token into WHISKAWAY_TOKENS_FILE")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("the scheme %q is not known; use https, or http on loopback", u.Scheme)
	}
	if u.Hostname() == "" || u.Fragment != "" {
		return "", fmt.Errorf("the host is missing, or something follows a #")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", fmt.Errorf("the port %s is not between 1 and 65535", port)
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("the port after the colon is missing")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String(), nil
}

// add takes one term: a requirement that is known by its name, or a label.
func (t *Target) add(term string) error {
	name, value, hasValue := strings.Cut(term, "=")
	if !hasValue {
		return t.addLabel(term)
	}
	var err error
	switch name {
	case "memory":
		t.Require.Memory, err = ParseBytes(value)
	case "gpu-memory":
		t.Require.GPUMemory, err = ParseBytes(value)
	case "gpu":
		t.Require.GPUs, err = parseCount(value)
	case "workers":
		t.Require.Workers, err = parseCount(value)
	case "warm":
		t.Require.Warm, err = parseCount(value)
	case "concurrency":
		t.Require.Concurrency, err = parseCount(value)
	case "kind":
		if t.Kind = value; value == "" {
			err = fmt.Errorf("a kind is missing, as in kind=python:3")
		}
	case "protocol":
		t.Protocol, err = parseProtocol(value)
	default:
		return t.addLabel(term)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (t *Target) addLabel(label string) error {
	if err := CheckLabel(label); err != nil {
		return err
	}
	t.Require.Labels = append(t.Require.Labels, label)
	return nil
}

// CheckLabel returns an error unless label is a word, or name=value, of
// letters, digits and any of - _ . / : and at most 128 bytes long.
func CheckLabel(label string) error {
	if len(label) > 128 {
		return fmt.Errorf("a label has at most 128 characters, this has %d", len(label))
	}
	name, value, hasValue := strings.Cut(label, "=")
	if name == "" || hasValue && value == "" {
		return fmt.Errorf("%q is not a label; a label is a word, or name=value", label)
	}
	for _, r := range name + value {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:", r) {
			return fmt.Errorf("the label %q contains %q; use letters, digits and - _ . / : only", label, r)
		}
	}
	return nil
}

func parseProtocol(text string) (Protocol, error) {
	switch p := Protocol(text); p {
	case ProtocolWhiskaway, ProtocolOpenServerless:
		return p, nil
	}
	return "", fmt.Errorf("%q is not known; it is %s or %s", text, ProtocolWhiskaway, ProtocolOpenServerless)
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 10000", text)
	}
	return n, nil
}

// ParseBytes reads a size: a number with k, m, g or t (powers of 1024), which
// may be followed by b or ib; a bare number counts bytes.
func ParseBytes(text string) (int64, error) {
	low := strings.ToLower(strings.TrimSpace(text))
	low = strings.TrimSuffix(strings.TrimSuffix(low, "b"), "i")
	shift := 0
	if i := strings.IndexAny(low, "kmgt"); i >= 0 && i == len(low)-1 {
		shift = 10 * (1 + strings.IndexByte("kmgt", low[i]))
		low = low[:i]
	}
	n, err := strconv.ParseFloat(low, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n >= float64(int64(math.MaxInt64)>>shift) {
		return 0, fmt.Errorf("%q is not a size; write 512m or 8g, for example", text)
	}
	return int64(n * float64(int64(1)<<shift)), nil
}

// IsLoopback reports whether the host of a URL or address is this machine's
// loopback, where plain http is allowed.
func IsLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func withoutCredentials(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***@" + rest[i+1:]
	}
	if found {
		return scheme + "://" + rest
	}
	return rest
}
