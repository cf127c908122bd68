package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
)

// A TokensFile says which token belongs to which host.
type TokensFile map[string]Token

// ParseTokensFile reads lines of "host[:port] token". Empty lines and those
// that begin with # are skipped. Errors name the line and quote no token.
func ParseTokensFile(r io.Reader) (TokensFile, error) {
	tokens := TokensFile{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: write a host and its token, with a space between", n)
		}
		host := strings.ToLower(fields[0])
		if strings.ContainsAny(host, "/@?") {
			return nil, fmt.Errorf("line %d: %q is not a host; write it without a scheme and a path", n, host)
		}
		if _, twice := tokens[host]; twice {
			return nil, fmt.Errorf("line %d: the host %s is there twice", n, host)
		}
		token, err := ParseToken(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		tokens[host] = token
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading tokens: %w", err)
	}
	return tokens, nil
}

// For returns the token of a URL's host: the entry with its port if there is
// one, or else the entry without a port.
func (t TokensFile) For(rawURL string) (Token, bool) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return Token{}, false
	}
	host := strings.ToLower(u.Hostname())
	if token, ok := t[net.JoinHostPort(host, portOf(u))]; ok {
		return token, true
	}
	token, ok := t[strings.TrimSuffix(net.JoinHostPort(host, ""), ":")]
	return token, ok
}

// portOf returns the URL's port, or its scheme's.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
