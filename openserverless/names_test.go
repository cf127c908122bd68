package openserverless

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// Clients of one function share it, each with a session of its own.
func TestOneFunctionForAllWhoseEverythingIsTheSame(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	g.init(client("b"))
	g.init(client("b").with("__OW_DEADLINE", "1")) // again, at another time
	for _, body := range []string{byHash("h1"), byID("a"), byID("b"), `{"actionCodeHash":"h1","proxiedActionID":"a"}`} {
		g.post("/run", body).want(t, 200, `"response"`)
	}
	for _, id := range g.host.ran {
		if id != g.host.ran[0] {
			t.Error("two functions ran")
		}
	}
	if leases, _ := g.host.counts(); leases != 2 || len(g.host.stopped) != 0 {
		t.Errorf("%d leases, want one for each client; %d were given back", leases, len(g.host.stopped))
	}
}

// The same hash, sent for what is another function, never leads to the first one.
func TestHashIsOnlyAName(t *testing.T) {
	other := client("b")
	other.main = "other"
	for name, c := range map[string]struct {
		client theirs
		code   string
	}{
		"main":      {other, someCode},
		"env":       {client("b").with("X", "y"), someCode},
		"action":    {client("b").with("__OW_ACTION_NAME", "/guest/hi"), someCode},
		"namespace": {client("b").with("__OW_ACTION_NAME", "/other/hello"), someCode},
		"caller":    {client("b").with("__OW_NAMESPACE", "other"), someCode},
		"platform":  {client("b").with("__OW_API_HOST", "https://other"), someCode},
		"code":      {client("b"), "def main(a): return {}"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.init(client("a"))
			g.post("/init", c.client.initBody(c.code)).want(t, 200, "ok")
			g.post("/run", byHash("h1")).want(t, 409, "more than one function")
			g.post("/run", byID("a")).want(t, 200, "response")
			first, _ := g.lastRun()
			g.post("/run", byID("b")).want(t, 200, "response")
			if second, _ := g.lastRun(); first == second {
				t.Error("both clients' runs went to one function")
			}
			g.post("/stop", byID("b")).want(t, 200, "ok")
			g.post("/run", byHash("h1")).want(t, 200, "response") // it has one meaning again
			if id, _ := g.lastRun(); id != first {
				t.Error("the hash names the function that was stopped")
			}
		})
	}
}

// Whose function it is follows from who calls it, and from whose action it is.
func TestActionOf(t *testing.T) {
	for want, c := range map[string][3]string{ // __OW_NAMESPACE, __OW_ACTION_NAME, the name beside the code
		"guest/hello":             {"guest", "/guest/hello", "x"},
		"guest/pack/hello":        {"guest", "/guest/pack/hello", ""},
		"guest//owner/p/hello":    {"guest", "/owner/p/hello", ""},
		"guest//guesthouse/hello": {"guest", "/guesthouse/hello", ""},
		"owner/hello":             {"", "/owner/hello", ""},
		"guest/guest/hello":       {"guest", "guest/hello", ""},
		"guest/x":                 {"guest", "", "x"},
		"guest/action":            {"guest", "", ""},
		"x":                       {"", "", "x"},
		"action":                  {"", "", ""},
	} {
		env := map[string]string{"__OW_NAMESPACE": c[0], "__OW_ACTION_NAME": c[1]}
		if got := actionOf(env, c[2]); got != want {
			t.Errorf("%q is %q, want %q", c, got, want)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	b := client("b")
	b.hash, b.main = "h2", "other"
	g.init(b)
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{byHash("h3"), 404, "Initialize it again"},
		{byID("c"), 404, "Initialize it again"},
		{`{"proxiedActionID":"c","actionCodeHash":"h1"}`, 404, "Initialize it again"}, // never by the hash instead
		{`{"proxiedActionID":"a","actionCodeHash":"h2"}`, 409, "different functions"},
		{`{"value":{}}`, 400, "neither"},
		{`{"proxiedActionID":""}`, 400, "neither"},
		{`{"proxiedActionID":7}`, 400, "must be a text"},
		{`{"proxiedActionID":"a","proxiedActionID":"b"}`, 400, "twice"},
		{`{"actionCodeHash":"h1","action\u0043odeHash":"h2"}`, 400, "twice"},
		{`{"actionCodeHash":"a\nb"}`, 400, "visible ASCII"},
		{byID(strings.Repeat("x", maxName+1)), 400, "visible ASCII"},
		{`[]`, 400, "not a JSON object"},
		{`{"proxiedActionID":"a"`, 400, "not a JSON object"},
		{``, 400, "not a JSON object"},
	} {
		g.post("/run", c.body).want(t, c.status, c.want)
		g.post("/stop", c.body).want(t, c.status, c.want)
	}
	if len(g.host.ran) != 0 {
		t.Error("something ran")
	}
	if leases, _ := g.host.counts(); leases != 2 {
		t.Errorf("%d leases, want 2", leases)
	}
}

// Who knows another client's id gets neither its function nor its runs.
func TestIDCannotBeTakenOver(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	mine, _ := g.host.counts()
	thief := client("a")
	thief.main = "other"
	g.post("/init", thief.initBody(someCode)).want(t, 409, "another function")
	if leases, inits := g.host.counts(); leases != mine || inits != 1 {
		t.Errorf("%d leases, want %d; %d inits", leases, mine, inits)
	}
	g.post("/run", byID("a")).want(t, 200, "response")
	if g.host.ran[0] != g.host.inits[0].ID() || g.host.inits[0].Main != "main" {
		t.Error("the run went to the other function")
	}
}

// Of two functions that are initialized under one id at once, the first that is ready has it.
func TestIDOfTwoAtOnce(t *testing.T) {
	g := newRig(t)
	slower := client("a")
	slower.main = "other"
	g.host.onInit = func(_ context.Context, spec function.Spec) error {
		if spec.Main == "other" {
			g.init(client("a"))
		}
		return nil
	}
	g.post("/init", slower.initBody(someCode)).want(t, 409, "another function")
	if leases, inits := g.host.counts(); leases != 1 || inits != 2 {
		t.Errorf("%d leases, %d inits", leases, inits)
	}
	g.post("/run", byID("a")).want(t, 200, "response")
	if id, _ := g.lastRun(); id != g.host.inits[0].ID() || g.host.inits[0].Main != "main" {
		t.Error("the slower one ran")
	}
}

func TestStopEndsOneClientOnly(t *testing.T) {
	for name, stop := range map[string]string{
		"id": byID("a"), "both": `{"proxiedActionID":"a","actionCodeHash":"h1"}`, "both, theirs": "{\"actionCodeHash\":\"h1\",\"proxiedActionID\":\"a\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.init(client("a"))
			g.init(client("b"))
			g.post("/stop", byHash("h1")).want(t, 409, "Several clients")
			g.post("/stop", stop).want(t, 200, `{"ok":true}`)
			g.post("/stop", stop).want(t, 404, "")
			g.post("/run", byID("a")).want(t, 404, "")
			g.post("/run", byID("b")).want(t, 200, "")
			g.post("/run", byHash("h1")).want(t, 200, "")
			if leases, inits := g.host.counts(); leases != 1 || inits != 2 {
				t.Errorf("%d leases, %d inits", leases, inits)
			}
			g.post("/gpu//stop", byHash("h1")).want(t, 200, `{"ok":true}`) // now it names one; and their client keeps the target's path
			g.post("/run", byHash("h1")).want(t, 404, "")
			if leases, _ := g.host.counts(); leases != 0 {
				t.Errorf("%d leases are left", leases)
			}
			if sessions, code := g.files(); sessions+code != 0 {
				t.Errorf("%d sessions, %d codes are left on disk", sessions, code)
			}
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	g := newRig(t)
	g.do("GET", "/healthz", "").want(t, 200, "ok")
	g.do("GET", "/run", "").want(t, 405, "POST")
	g.do("PUT", "/init", "").want(t, 405, "POST")
	g.do("POST", "/healthz", "").want(t, 405, "GET")
	for _, path := range []string{"/", "/reset", "/x/init", "/stop/", "/code/" + strings.Repeat("0", 64)} {
		g.post(path, "{}").want(t, 404, "/init, /run and /stop")
	}
	g.post("/stop", fmt.Sprintf(`{"proxiedActionID":"a","x":%q}`, strings.Repeat("x", maxStop))).want(t, 413, "")
}

// Whoever shows a browser of this machine a page could run code here: browsers send such a request without asking.
func TestWebPagesAreRefused(t *testing.T) {
	g := newRig(t)
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/init", strings.NewReader(client("a").initBody(someCode)))
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Origin", "https://evil.example.com")
	g.face.ServeHTTP(rec, r)
	reply{rec.Code, rec.Body.String()}.want(t, 403, "web page")
	if len(g.host.inits) != 0 {
		t.Error("a function was started")
	}
}
