package sandbox

import (
	"slices"
	"strings"
)

// lastOfEach keeps the last setting of each variable: programs disagree about
// which of two they see.
func lastOfEach(env []string) []string {
	seen := make(map[string]bool, len(env))
	kept := make([]string, 0, len(env))
	for _, setting := range slices.Backward(env) {
		name, _, _ := strings.Cut(setting, "=")
		if !seen[name] {
			seen[name] = true
			kept = append(kept, setting)
		}
	}
	slices.Reverse(kept)
	return kept
}
