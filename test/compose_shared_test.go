package test

import (
	"strings"
	"testing"
)

// What one namespace publishes the others may read, bind and invoke, and nothing else.
func TestPublishedPackages(t *testing.T) {
	t.Parallel()
	guest := startStandalone(t, t.TempDir())
	ada := guest.as(guest.userOK("create", "ada"))
	const code = "import os\ndef main(a):\n    return {'args': a, 'namespace': os.environ['__OW_NAMESPACE'], 'action': os.environ['__OW_ACTION_NAME'], 'key': os.environ.get('__OW_API_KEY', '')}\n"
	ada.ask(200, "PUT", restNS+"packages/open", `{"publish":true,"parameters":[{"key":"p","value":"ada's"}]}`, nil)
	ada.put("open/tell", action{kind: "python:3", code: code})
	ada.put("open/key", action{kind: "python:3", code: code, annotations: `[{"key":"provide-api-key","value":true}]`})
	ada.ask(200, "PUT", restNS+"packages/closed", `{}`, nil)
	ada.put("closed/tell", action{kind: "python:3", code: code})
	ada.put("own", action{kind: "python:3", code: code})
	ada.sequence("open/ofOwn", "/ada/own")
	ada.sequence("open/ofOpen", "/ada/open/tell")
	ada.ask(200, "PUT", restNS+"packages/ownBound", `{"publish":true,"binding":{"namespace":"_","name":"open"}}`, nil)
	const of = "/namespaces/ada/"

	t.Run("read", func(t *testing.T) {
		var p shownPackage
		guest.ask(200, "GET", of+"packages/open", "", &p)
		if got := p.String(); got != "ada/open 0.0.1 { } | p=ada's |  | [ofOpen ofOwn key tell]" {
			t.Errorf("the package: %s", got)
		}
		var a wskAction
		guest.ask(200, "GET", of+"actions/open/tell", "", &a)
		if a.Namespace != "ada/open" || a.Exec.Code == nil {
			t.Errorf("the action: %+v", a)
		}
		var list []wskAction
		guest.ask(200, "GET", of+"actions/open/", "", &list)
		var packages []shownPackage
		guest.ask(200, "GET", of+"packages", "", &packages)
		var n struct{ Packages int }
		guest.ask(200, "GET", of+"packages?count=true", "", &n)
		if len(list) != 4 || len(packages) != 1 || packages[0].Name != "open" || n.Packages != 1 {
			t.Errorf("lists: %+v, %+v, %d", list, packages, n.Packages)
		}
		guest.ask(200, "GET", of+"packages?skip=1", "", &packages)
		if len(packages) != 0 {
			t.Errorf("the second page: %+v", packages)
		}
	})
	t.Run("invoke", func(t *testing.T) {
		var r composed
		guest.ask(200, "POST", of+"actions/open/tell?blocking=true", `{"n":1}`, &r)
		wantResult(t, r, 0, `{"args":{"p":"ada's","n":1},"namespace":"guest","action":"/ada/open/tell","key":""}`)
		if r.Namespace != "guest" || r.Subject != "guest" || r.note("path") != `"ada/open/tell"` {
			t.Errorf("the record: %+v", r)
		}
		if status, _ := ada.call("GET", restNS+"activations/"+r.ActivationID, ""); status != 404 {
			t.Errorf("the record is there for ada, too: %d", status)
		}
		guest.ask(200, "POST", of+"actions/open/key?blocking=true", `{}`, &r)
		if !strings.Contains(string(r.Response.Result), `"key":"`+guest.auth+`"`) {
			t.Errorf("it has the key of %s", r.Response.Result)
		}
		guest.ask(200, "POST", of+"actions/open/ofOpen?blocking=true", `{}`, &r)
		if list := guest.checkComposition(r); names(list) != "tell" || r.Namespace != "guest" {
			t.Errorf("the sequence: %+v", r)
		}
	})
	t.Run("bind", func(t *testing.T) {
		guest.ask(200, "PUT", restNS+"packages/mine", `{"binding":{"namespace":"ada","name":"open"},"parameters":[{"key":"p","value":"mine"}]}`, nil)
		r := guest.compose(200, "mine/tell", `{}`)
		wantResult(t, r, 0, `{"args":{"p":"mine"},"namespace":"guest","action":"/ada/open/tell","key":""}`)
		if r.note("binding") != `"guest/mine"` {
			t.Errorf("the record: %+v", r)
		}
		guest.sequence("seq", "/_/mine/tell", "/ada/open/tell")
		if list := guest.checkComposition(guest.compose(200, "seq", `{}`)); names(list) != "tell tell" {
			t.Errorf("the sequence: %s", names(list))
		}
		guest.ask(200, "PUT", restNS+"triggers/t", `{}`, nil)
		guest.ask(200, "PUT", restNS+"rules/r", `{"trigger":"/_/t","action":"/ada/open/tell"}`, nil)
		guest.ask(202, "POST", restNS+"triggers/t", `{}`, nil)
		// A binding is nobody's but its owner's.
		var packages []shownPackage
		ada.ask(200, "GET", "/namespaces/guest/packages", "", &packages)
		if len(packages) != 0 {
			t.Errorf("ada sees %+v", packages)
		}
	})
	no := func(name string) string {
		return "The supplied authentication is not authorized to access '" + name + "'."
	}
	for _, c := range []struct{ reason, method, path, body string }{
		{no("ada/closed"), "GET", of + "packages/closed", ""},
		{no("ada/nothing"), "GET", of + "packages/nothing", ""},
		{no("ada/own"), "GET", of + "packages/own", ""},
		{no("ada/ownBound"), "GET", of + "packages/ownBound", ""},
		{no("ada/closed"), "GET", of + "actions/closed/", ""},
		{no("ada/closed/tell"), "GET", of + "actions/closed/tell", ""},
		{no("ada/closed/tell"), "POST", of + "actions/closed/tell", `{}`},
		{no("ada/ownBound/tell"), "POST", of + "actions/ownBound/tell", `{}`},
		{no("ada/nothing/tell"), "POST", of + "actions/nothing/tell", `{}`},
		{no("ada/own"), "GET", of + "actions/own", ""},
		{no("ada/own"), "POST", of + "actions/own", `{}`},
		{no("ada/nobody"), "POST", of + "actions/nobody", `{}`},
		{no("ada/own"), "POST", of + "actions/open/ofOwn", `{}`},
		{no("ada"), "GET", of + "actions", ""},
		{no("ada"), "GET", of + "actions?count=true", ""},
		{no("ada"), "PUT", of + "actions/open/new", `{"exec":{"kind":"python:3","code":"x"}}`},
		{no("ada"), "DELETE", of + "actions/open/tell", ""},
		{no("ada"), "PUT", of + "packages/open?overwrite=true", `{}`},
		{no("ada"), "DELETE", of + "packages/open", ""},
		{no("ada"), "GET", of + "triggers", ""},
		{no("ada"), "GET", of + "rules", ""},
		{no("ada"), "GET", of + "activations", ""},
		{no("ada"), "GET", of + "limits", ""},
		{no("ada/closed"), "PUT", restNS + "packages/b", `{"binding":{"namespace":"ada","name":"closed"}}`},
		{no("ada/nothing"), "PUT", restNS + "packages/b", `{"binding":{"namespace":"ada","name":"nothing"}}`},
		{no("ada/ownBound"), "PUT", restNS + "packages/b", `{"binding":{"namespace":"ada","name":"ownBound"}}`},
		{no("ada/closed/tell"), "PUT", restNS + "actions/s", sequenceBody("/ada/closed/tell")},
		{no("ada/own"), "PUT", restNS + "rules/s", `{"trigger":"/_/t","action":"/ada/own"}`},
		{no("ada/bell"), "PUT", restNS + "rules/s", `{"trigger":"/ada/bell","action":"/ada/open/tell"}`},
	} {
		guest.refused(403, c.reason, c.method, c.path, c.body)
	}
	t.Run("no longer", func(t *testing.T) {
		guest.compose(200, "mine/tell", `{}`) // both sides know the action
		ada.ask(200, "PUT", restNS+"packages/open?overwrite=true", `{"publish":false}`, nil)
		guest.refused(403, no("ada/open/tell"), "POST", of+"actions/open/tell", `{}`)
		guest.refused(403, no("guest/mine/tell"), "POST", restNS+"actions/mine/tell", `{}`)
		guest.refused(403, no("guest/mine"), "GET", restNS+"packages/mine", "")
		guest.refused(403, no("guest/mine/tell"), "POST", restNS+"actions/seq", `{}`)
		ada.compose(200, "open/tell", `{}`)
		guest.refused(403, no("ada/open/tell"), "POST", of+"actions/open/tell", `{}`) // also when it is remembered
		guest.ask(200, "DELETE", restNS+"packages/mine", "", nil)
	})
}
