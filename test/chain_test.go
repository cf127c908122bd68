package test

import (
	"encoding/json"
	"slices"
	"testing"
)

// An alarm fires a trigger, whose rule invokes a sequence: a Python action here, and one on a
// server with the label llm. Every record names its cause, and the last one the server.
func TestChainFiredByAnAlarmHasCauses(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.startServer("llm", t.TempDir())
	s.put("prompt", action{kind: "python:3", code: "def main(args):\n    print('asked by', args['who'])\n    return {'prompt': 'Greet ' + args['who']}"})
	s.put("answer", action{kind: "python:3", main: "main@llm", code: "def main(args):\n    print('thinking')\n    return {'answer': args['prompt'] + '!'}"})
	s.ask(200, "PUT", restNS+"actions/chain", `{"exec":{"kind":"sequence","components":["/_/prompt","/_/answer"]}}`, nil)
	s.ask(200, "PUT", restNS+"triggers/tick", `{"annotations":[{"key":"feed","value":"/whisk.system/alarms/alarm"}]}`, nil)
	s.ask(200, "PUT", restNS+"rules/on-tick", `{"trigger":"/_/tick","action":"/_/chain"}`, nil)
	s.feed(200, "alarm", "CREATE", "tick", `,"cron":"* * * * * *","maxTriggers":1,"trigger_payload":{"who":"Ada"}`)

	sequence := s.records("chain", 1)[0]
	firing, prompt, answer := s.records("tick", 1)[0], s.records("prompt", 1)[0], s.records("answer", 1)[0]
	for _, c := range []struct {
		what      string
		is, wants string
	}{
		{"the sequence's cause", sequence.Cause, firing.ActivationID},
		{"the first part's cause", prompt.Cause, sequence.ActivationID},
		{"the second part's cause", answer.Cause, sequence.ActivationID},
		{"the firing's cause", firing.Cause, ""},
		{"the sequence's result", asJSON(t, sequence.Response.Result), `{"answer":"Greet Ada!"}`},
		{"the firing's payload", asJSON(t, firing.Response.Result), `{"who":"Ada"}`},
		{"where the second part ran", serverOf(t, answer), "llm-box"},
	} {
		if c.is != c.wants {
			t.Errorf("%s is %q, want %q", c.what, c.is, c.wants)
		}
	}
	if !slices.Equal(sequence.Logs, []string{prompt.ActivationID, answer.ActivationID}) {
		t.Errorf("the sequence's parts: %q", sequence.Logs)
	}
	var line ruleLine
	if err := json.Unmarshal([]byte(firing.Logs[0]), &line); err != nil || line.ActivationID != sequence.ActivationID || line.Rule != "guest/on-tick" {
		t.Errorf("the firing's line: %q, %v", firing.Logs, err)
	}
	for _, part := range []wskActivation{prompt, answer} {
		if annotation(part, "causedBy") != "sequence" || len(part.Logs) != 1 {
			t.Errorf("a part: %+v", part)
		}
	}
}

// A ruleLine is what a firing's record says of a rule.
type ruleLine struct {
	ActivationID string `json:"activationId"`
	Rule         string
}

// annotation returns the value of a record's annotation; nil: there is none.
func annotation(a wskActivation, key string) any {
	for _, kv := range a.Annotations {
		if kv.Key == key {
			return kv.Value
		}
	}
	return nil
}

// serverOf returns the name of the server that a run was on.
func serverOf(t *testing.T, a wskActivation) string {
	t.Helper()
	journey, ok := annotation(a, "whiskaway").(map[string]any)
	if !ok {
		t.Fatalf("no journey in %+v", a.Annotations)
	}
	name, _ := journey["server"].(string)
	return name
}
