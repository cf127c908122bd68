package test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// The key that a run is given when nobody's key came with it is good no longer than the key of whom it stands for: also
// when somebody else gets the same name.
func TestAlwaysTrue9RunKeysEndWithTheirSubjectsKey(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	runKey := func(owner *standalone) *standalone {
		t.Helper()
		owner.put("tell", action{kind: "python:3", annotations: `[{"key":"web-export","value":true},{"key":"provide-api-key","value":true}]`,
			code: "import os\ndef main(a): return {'body': {'key': os.environ['__OW_API_KEY']}}"})
		resp, err := http.Get(s.api + "/api/v1/web/bob/default/tell")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var told struct{ Key string }
		if err := json.NewDecoder(resp.Body).Decode(&told); err != nil || told.Key == "" || told.Key == owner.auth {
			t.Fatalf("the run's key: %v, %v", told, err)
		}
		return s.as(told.Key)
	}
	bob := s.as(s.userOK("create", "bob"))
	run := runKey(bob)
	run.ask(200, "GET", restNS+"actions/tell", "", nil)

	bob = s.as(s.userOK("key", "bob"))
	run.waitForStatus(401, "GET", restNS+"actions/tell", "")
	bob.ask(200, "GET", restNS+"actions/tell", "", nil)

	run = runKey(bob)
	run.ask(200, "GET", restNS+"actions", "", nil)
	s.userOK("delete", "bob", "--force")
	s.as(s.userOK("create", "bob")).waitForStatus(200, "GET", restNS+"actions", "") // it is heard of
	run.ask(401, "GET", restNS+"actions", "", nil)
}
