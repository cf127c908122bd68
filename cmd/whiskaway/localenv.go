package main

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// localEnv is what a function that runs in this container finds in its environment besides what is its
// own: what the container was given, for which people write ENV into a Dockerfile, and then the platform's
// variables of the init environment. No setting holds what is to be hidden.
func (s settings) localEnv(platform map[string]string, hidden secrets) []string {
	env := slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, value, _ := strings.Cut(setting, "=")
		return isOurs(name) || hidden.in(value)
	})
	env = append(env, "__OW_PROXY_VERSION="+version)
	if s.executionEnv != "" {
		env = append(env, "__OW_EXECUTION_ENV="+s.executionEnv)
	}
	for _, name := range slices.Sorted(maps.Keys(platform)) {
		env = append(env, name+"="+platform[name])
	}
	return env
}

// isOurs reports whether a variable is a setting of ours or the proxy's, or one that each process has its
// own value of.
func isOurs(name string) bool {
	return strings.HasPrefix(name, "WHISKAWAY_") || strings.HasPrefix(name, "OW_") ||
		slices.Contains([]string{"PATH", "HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"}, name)
}
