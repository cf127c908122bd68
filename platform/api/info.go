package api

import (
	"net/http"
	"strings"
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
	return ok(map[string]any{
		"description": "OpenWhisk",
		"support":     map[string]string{"github": "https://github.com/whiskaway/whiskaway/issues"},
		"api_paths":   []string{prefix},
		"runtimes":    a.manifest(),
		"limits": map[string]any{
			"min_action_duration": l.Timeout.Min, "max_action_duration": l.Timeout.Max,
			"min_action_memory": l.Memory.Min << 20, "max_action_memory": l.Memory.Max << 20,
			"min_action_logs": l.Logs.Min << 20, "max_action_logs": l.Logs.Max << 20,
			"sequence_length": l.Sequence,
		},
	})
}

// manifest lists the kinds by language, as OpenWhisk's runtimes.json does.
func (a *API) manifest() map[string][]map[string]any {
	languages := map[string][]map[string]any{}
	for _, k := range a.controller.Kinds() {
		language, _, _ := strings.Cut(k.Name, ":")
		languages[language] = append(languages[language], map[string]any{
			"kind": k.Name, "default": len(languages[language]) == 0,
			"deprecated": false, "attached": true, "requireMain": false,
		})
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
	l := a.controller.Limits()
	var kinds []string
	for _, k := range a.controller.Kinds() {
		kinds = append(kinds, k.Name)
	}
	return ok(map[string]any{
		"allowedKinds": kinds, "storeActivations": true,
		"minActionTimeout": l.Timeout.Min, "maxActionTimeout": l.Timeout.Max,
		"minActionMemory": l.Memory.Min, "maxActionMemory": l.Memory.Max,
		"minActionLogs": l.Logs.Min, "maxActionLogs": l.Logs.Max,
		"minActionConcurrency": l.Concurrency.Min, "maxActionConcurrency": l.Concurrency.Max,
		"maxParameterSize": l.Payload,
	})
}
