package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// An operation of the description.
type operation struct {
	OperationID string
	Security    *[]any
	Responses   map[string]json.RawMessage
}

// described returns the description's operations by path and method.
func described(t *testing.T) map[string]map[string]operation {
	t.Helper()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.") {
		t.Fatal(doc.OpenAPI, err)
	}
	all := map[string]map[string]operation{}
	for path, item := range doc.Paths {
		all[path] = map[string]operation{}
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			var op operation
			if err := json.Unmarshal(text, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			all[path][method] = op
		}
	}
	return all
}

// Each reference leads somewhere, and each operation's id is its own.
func TestDescriptionIsSound(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for _, ref := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(string(openAPI), -1) {
		var at any = doc
		for part := range strings.SplitSeq(ref[1], "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
	seen := map[string]bool{}
	for path, item := range described(t) {
		for method, op := range item {
			if op.OperationID == "" || seen[op.OperationID] || len(op.Responses) == 0 {
				t.Errorf("%s %s: the id %q, %d responses", method, path, op.OperationID, len(op.Responses))
			}
			seen[op.OperationID] = true
		}
	}
}

// What the description says needs a key is refused without one, and the rest is not.
func TestDescriptionSaysWhatNeedsAKey(t *testing.T) {
	a := &API{}
	for path, item := range described(t) {
		if strings.HasPrefix(path, "/api/v1/web/") || path == "/" || path == "/api/v1" {
			continue // they need a controller: the tests of the whole platform have them
		}
		for method, op := range item {
			w := httptest.NewRecorder()
			a.ServeHTTP(w, httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil))
			open := op.Security != nil && len(*op.Security) == 0
			if open != (w.Code == http.StatusOK) || !open && w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s without a key: %d", method, path, w.Code)
			}
		}
	}
}
