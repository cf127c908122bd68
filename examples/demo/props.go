package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Props are what wsk keeps in its properties file.
type props struct{ host, user, key string }

// readProps reads a file of lines NAME=VALUE for APIHOST and AUTH.
func readProps(path string) (props, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return props{}, fmt.Errorf("reading where the platform is: %w", err)
	}
	p, err := parseProps(string(b))
	if err != nil {
		return props{}, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parseProps(text string) (props, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[strings.TrimSpace(name)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	host, err := url.Parse(values["APIHOST"])
	if err != nil || host.Scheme == "" || host.Host == "" {
		return props{}, fmt.Errorf("APIHOST is %q, not a URL", values["APIHOST"])
	}
	user, key, ok := strings.Cut(values["AUTH"], ":")
	if !ok {
		return props{}, fmt.Errorf("AUTH is not of the form name:key") // the value is a secret
	}
	return props{host: strings.TrimRight(values["APIHOST"], "/"), user: user, key: key}, nil
}
