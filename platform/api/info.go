package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// version describes the API; it needs no key.
func (a *API) version() (reply, error) {
	return ok(map[string]any{
		"description":      "OpenWhisk API",
		"api_version":      "1.0.0",
		"api_version_path": "v1",
		"build":            a.build,
		"buildno":          "whiskaway",
	})
}

// describe tells the limits and the runtimes manifest; it needs no key.
func (a *API) describe() (reply, error) {
	l := a.controller.Limits()
	limits := map[string]any{
		"min_action_duration": l.Timeout.Min, "max_action_duration": l.Timeout.Max,
		"min_action_memory": l.Memory.Min << 20, "max_action_memory": l.Memory.Max << 20,
		"min_action_logs": l.Logs.Min << 20, "max_action_logs": l.Logs.Max << 20,
		"sequence_length": l.Sequence,
	}
	addCounts(limits, map[string]int{
		"actions_per_minute": l.PerMinute, "concurrent_actions": l.Concurrent, "triggers_per_minute": l.FiresPerMinute,
	})
	return ok(map[string]any{
		"description": "OpenWhisk",
		"support":     map[string]string{"github": "https://github.com/whiskaway/whiskaway/issues"},
		"api_paths":   []string{prefix},
		"runtimes":    a.manifest(),
		"limits":      limits,
	})
}

// addCounts adds those counts that are a limit. OpenWhisk knows no platform without them, and has no word for it.
func addCounts(to map[string]any, counts map[string]int) {
	for name, n := range counts {
		if n != controller.Unlimited {
			to[name] = n
		}
	}
}

// manifest lists the kinds by language, as OpenWhisk's runtimes.json does.
func (a *API) manifest() map[string][]map[string]any {
	languages := map[string][]map[string]any{}
	for _, k := range a.controller.Kinds() {
		language, _, _ := strings.Cut(k.Name, ":")
		entry := map[string]any{
			"kind": k.Name, "default": k.Default, "deprecated": k.Deprecated, "attached": true, "requireMain": k.RequireMain,
		}
		if k.Image != "" {
			entry["image"] = k.Image
		}
		languages[language] = append(languages[language], entry)
	}
	return languages
}

func (a *API) namespaces(q *request) (reply, error) {
	if q.Method != http.MethodGet {
		return reply{}, notAllowed("GET")
	}
	return ok([]string{q.by.Namespace})
}

func (a *API) limits(q *request) (reply, error) {
	switch {
	case !q.isList():
		return reply{}, notFound()
	case q.Method != http.MethodGet:
		return reply{}, notAllowed("GET")
	}
	l, err := a.controller.Allowance(q.Context(), q.namespace)
	if err != nil {
		return reply{}, err
	}
	kinds := l.Kinds
	if kinds == nil {
		for _, k := range a.controller.Kinds() {
			kinds = append(kinds, k.Name)
		}
	}
	body := map[string]any{
		"allowedKinds": kinds, "storeActivations": l.StoreActivations,
		"minActionTimeout": l.Timeout.Min, "maxActionTimeout": l.Timeout.Max,
		"minActionMemory": l.Memory.Min, "maxActionMemory": l.Memory.Max,
		"minActionLogs": l.Logs.Min, "maxActionLogs": l.Logs.Max,
		"minActionConcurrency": l.Concurrency.Min, "maxActionConcurrency": l.Concurrency.Max,
		"maxParameterSize": byteSize(l.Payload), "maxPayloadSize": byteSize(l.Payload), "truncationSize": byteSize(l.Result),
	}
	addCounts(body, map[string]int{
		"invocationsPerMinute": l.PerMinute, "concurrentInvocations": l.Concurrent, "firesPerMinute": l.FiresPerMinute,
	})
	return ok(body)
}

// byteSize is how OpenWhisk writes a size.
func byteSize(n int64) string { return strconv.FormatInt(n, 10) + " B" }
