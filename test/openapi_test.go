package test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each operation that the served description names exists: it is refused for what is wrong with
// the request, never for its method or its path.
func TestDescribedOperationsExist(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.put("action", action{kind: "python:3", code: "def main(args): return args"})
	s.ask(200, "PUT", restNS+"packages/package", `{}`, nil)
	s.ask(200, "PUT", restNS+"triggers/trigger", `{}`, nil)
	s.ask(200, "PUT", restNS+"rules/rule", `{"trigger":"/_/trigger","action":"/_/action"}`, nil)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	s.ask(200, "GET", "/api-docs", "", &doc)
	if len(doc.Paths) < 20 {
		t.Fatalf("only %d paths", len(doc.Paths))
	}
	s.callDescribed(doc.Paths, func(method string) bool { return method != "delete" })
	s.callDescribed(doc.Paths, func(method string) bool { return method == "delete" })
}

// callDescribed calls the operations with these methods, but those of web actions.
func (s *standalone) callDescribed(paths map[string]map[string]json.RawMessage, wanted func(method string) bool) {
	for path, item := range paths {
		rest, ok := strings.CutPrefix(path, "/api/v1")
		if !ok || strings.HasPrefix(rest, "/web/") {
			continue
		}
		here := strings.NewReplacer("{namespace}", "_", "{activation}", strings.Repeat("0", 32), "{", "", "}", "").Replace(rest)
		for method := range item {
			if method == "parameters" || !wanted(method) {
				continue
			}
			status, answer := s.call(strings.ToUpper(method), here, "")
			missing := status == 404 && !strings.Contains(path, "{activation}") && !strings.Contains(path, "{package}/{action}")
			if status == 405 || missing || status >= 500 {
				s.t.Errorf("%s %s: %d %s", method, here, status, answer)
			}
		}
	}
}
