package test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const alarms = "/namespaces/whisk.system/actions/alarms/"

// A feedAnswer is a feed's activation as a client sees it.
type feedAnswer struct {
	ActivationID string `json:"activationId"`
	Response     struct {
		Success bool
		Result  struct {
			Status json.RawMessage
			Config map[string]any
			Error  struct{ Error string }
		}
	}
}

// feed invokes a feed of the package alarms as wsk does.
func (s *standalone) feed(status int, name, event, trigger, parameters string) feedAnswer {
	s.t.Helper()
	var a feedAnswer
	s.ask(status, "POST", alarms+name+"?blocking=true",
		fmt.Sprintf(`{"lifecycleEvent":%q,"triggerName":%q,"authKey":%q%s}`, event, "/_/"+trigger, s.auth, parameters), &a)
	return a
}

// records waits until the action has n records, and returns them, the oldest first.
func (s *standalone) records(action string, n int) []wskActivation {
	s.t.Helper()
	var list []wskActivation
	eventually(s.t, action+" has "+strconv.Itoa(n)+" records", func() bool {
		list = nil
		s.ask(200, "GET", restNS+"activations?docs=true&name="+action, "", &list)
		return len(list) >= n
	})
	slices.Reverse(list)
	return list
}

func TestAlarmsPackageIsEverybodys(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	var p struct {
		wskEntity
		Feeds []wskEntity
	}
	s.ask(200, "GET", "/namespaces/whisk.system/packages/alarms", "", &p)
	var names []string
	for _, feed := range p.Feeds {
		names = append(names, feed.Name)
	}
	slices.Sort(names)
	if !*p.Publish || !slices.Equal(names, []string{"alarm", "interval", "once"}) {
		t.Errorf("the package: %+v with the feeds %q", p, names)
	}
	var a wskAction
	s.ask(200, "GET", alarms+"once", "", &a)
	if a.Exec.Kind != "builtin" || !strings.Contains(keys(a.Annotations), "feed=true") {
		t.Errorf("a feed: %+v %+v", a, a.Exec)
	}
	s.ask(403, "PUT", alarms+"once?overwrite=true", `{"exec":{"kind":"python:3","code":"def main(a): return a"}}`, nil)
	s.ask(403, "DELETE", "/namespaces/whisk.system/packages/alarms", "", nil)
	s.ask(400, "PUT", restNS+"actions/mine", `{"exec":{"kind":"builtin","code":"x"}}`, nil)

	// Through a binding, as clients of shared packages do.
	s.ask(200, "PUT", restNS+"packages/clock", `{"binding":{"namespace":"whisk.system","name":"alarms"}}`, nil)
	s.ask(200, "PUT", restNS+"triggers/bound", `{}`, nil)
	s.ask(200, "POST", restNS+"actions/clock/once?blocking=true", `{"lifecycleEvent":"CREATE","triggerName":"bound","date":"2100-01-01"}`, nil)
	if read := s.feed(200, "once", "READ", "bound", ""); read.Response.Result.Config["date"] != "2100-01-01" {
		t.Errorf("set through a binding: %+v", read)
	}

	// The package is written once, not at every start.
	version := p.Version
	s.stop()
	s = startStandalone(t, s.dir)
	s.ask(200, "GET", "/namespaces/whisk.system/packages/alarms", "", &p)
	if p.Version != version {
		t.Errorf("the package became version %s by a restart", p.Version)
	}
}

// A cron alarm, a trigger, a rule, an action that asks the platform with the key that it was given.
func TestAlarmFiresTriggerRuleAndAction(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.put("work", action{kind: "python:3", annotations: `[{"key":"provide-api-key","value":true}]`, code: `import os, urllib.request, base64, json
def main(args):
    auth = "Basic " + base64.b64encode(os.environ["__OW_API_KEY"].encode()).decode()
    url = os.environ["__OW_API_HOST"] + "/api/v1/namespaces"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": auth})) as answer:
        return {"n": args["n"], "mine": json.load(answer)}
`})
	s.ask(200, "PUT", restNS+"triggers/tick", `{"annotations":[{"key":"feed","value":"/whisk.system/alarms/alarm"}]}`, nil)
	s.ask(200, "PUT", restNS+"rules/on-tick", `{"trigger":"/_/tick","action":"/_/work"}`, nil)
	s.feed(200, "alarm", "CREATE", "tick", `,"cron":"* * * * * *","trigger_payload":{"n":7}`)

	runs := s.records("work", 2)
	firings := s.records("tick", 2)
	if want := `{"mine":["guest"],"n":7}`; runs[0].StatusCode != 0 || asJSON(t, runs[0].Response.Result) != want {
		t.Errorf("the action: %+v, want %s", runs[0], want)
	}
	caused := slices.ContainsFunc(firings, func(f wskActivation) bool { return f.ActivationID == runs[0].Cause })
	if !caused || runs[0].Subject != "guest" {
		t.Errorf("the action's cause is %q, none of the firings %+v", runs[0].Cause, firings)
	}
	if !strings.Contains(strings.Join(firings[0].Logs, ""), runs[0].ActivationID) {
		t.Errorf("the firing's logs do not name the action's activation: %q", firings[0].Logs)
	}
	// It goes on after a kill, and not after it is deleted.
	s.kill()
	s = startStandalone(t, s.dir)
	before := len(s.records("tick", 2))
	s.records("tick", before+1)
	s.feed(200, "alarm", "DELETE", "tick", "")
	var count struct{ Activations int }
	s.ask(200, "GET", restNS+"activations?name=tick&count=true", "", &count)
	after := count.Activations
	time.Sleep(2100 * time.Millisecond) // a firing that must not come: nothing tells that it does not
	s.ask(200, "GET", restNS+"activations?name=tick&count=true", "", &count)
	if count.Activations > after+1 { // one may have been on its way
		t.Errorf("%d firings after the alarm was deleted", count.Activations-after)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOnceFiresAndCleansUp(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.put("work", action{kind: "python:3", code: "def main(args): return args"})
	s.ask(200, "PUT", restNS+"triggers/party", `{}`, nil)
	s.ask(200, "PUT", restNS+"rules/on-party", `{"trigger":"/_/party","action":"/_/work"}`, nil)
	s.feed(200, "once", "CREATE", "party", fmt.Sprintf(`,"date":%d,"deleteAfterFire":"rules","trigger_payload":"cake"`, time.Now().Add(500*time.Millisecond).UnixMilli()))
	if run := s.records("work", 1)[0]; asJSON(t, run.Response.Result) != `{"payload":"cake"}` {
		t.Errorf("the action: %+v", run)
	}
	eventually(t, "the rule is gone", func() bool {
		status, _ := s.call("GET", restNS+"rules/on-party", "")
		return status == 404
	})
	s.ask(404, "GET", restNS+"triggers/party", "", nil)
	if gone := s.feed(502, "once", "READ", "party", ""); !strings.Contains(gone.Response.Result.Error.Error, "could not find the trigger") {
		t.Errorf("reading it after: %+v", gone)
	}
}

func TestFeedsRefuseInOpenWhisksWords(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.ask(200, "PUT", restNS+"triggers/t", `{}`, nil)
	for _, c := range []struct{ feed, trigger, parameters, want string }{
		{"alarm", "t", ``, "alarms trigger feed is missing the cron parameter"},
		{"alarm", "t", `,"cron":"60 * * * *"`, "cron pattern '60 * * * *' is not valid"},
		{"interval", "t", `,"minutes":"five"`, "the minutes parameter must be an integer"},
		{"once", "t", `,"date":"tomorrow"`, "date parameter 'tomorrow' is not a valid Date"},
		{"once", "nowhere", `,"date":"2100-01-01"`, "Trigger authentication request failed"},
	} {
		a := s.feed(502, c.feed, "CREATE", c.trigger, c.parameters)
		if a.ActivationID == "" || !strings.Contains(a.Response.Result.Error.Error, c.want) {
			t.Errorf("%s%s: %+v, want %q", c.feed, c.parameters, a, c.want)
		}
	}
}
