package openserverless

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestRunPassesWhatItWasSent(t *testing.T) {
	g := newRig(t)
	g.init(client("a").with("__OW_NAMESPACE", "guest").with("__OW_API_KEY", "k<>").with("__OW_ACTION_VERSION", "0.0.1").with("__OW_TRANSACTION_ID", "old"))
	stable := `"namespace":"guest","action_name":"/guest/hello","action_version":"0.0.1","api_key":"k<>"`
	for body, want := range map[string]string{
		`{"actionCodeHash":"h1","value":{"n":12345678901234567890, "e":1e3,"s":"\u00fc<"}}` + "\n": `{"value":{"n":12345678901234567890, "e":1e3,"s":"\u00fc<"},` + stable + `}`,
		`{"actionCodeHash":"h1","value":[1,"x",{}]}`:                                               `{"value":[1,"x",{}],` + stable + `}`,
		`{"actionCodeHash":"h1"}`: `{"value":{},` + stable + `}`, // their client leaves out an empty value
		`{"value":{},"proxiedActionID":"a","namespace":"mine","api_key":"other","activation_id":"1","x":null}`: `{"value":{},"namespace":"mine","api_key":"other","activation_id":"1","x":null,"action_name":"/guest/hello","action_version":"0.0.1"}`,
	} {
		r := g.post("/run", body)
		if _, got := g.lastRun(); got != want {
			t.Errorf("the function got %s\nwant %s", got, want)
		}
		if got := r.response(t); got != want {
			t.Errorf("the client got %s", got)
		}
	}
}

// Runs with large bodies may wait in their hundreds, so these are on disk; small ones are not.
func TestLargeBodiesAreOnDisk(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Body = function.BodyLimits{Memory: 1000, Max: 3000} })
	g.init(client("a").with("__OW_API_KEY", repeat("k", 500)))
	onDisk := false
	g.host.onRun = func(_ context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
		_, onDisk = act.Body.Open().(*io.SectionReader)
		body, err := act.Body.Bytes()
		if err != nil {
			return function.Summary{}, err
		}
		return okSummary, out.Write(function.Result, body)
	}
	for size, want := range map[int]bool{10: false, 2950: true} {
		value := `{"x":"` + repeat("x", size) + `"}`
		r := g.post("/run", `{"proxiedActionID":"a","value":`+value+`}`)
		if got := r.response(t); onDisk != want || !strings.HasPrefix(got, `{"value":`+value+`,`) {
			t.Errorf("%d bytes: on disk %v, %.100s", size, onDisk, got)
		}
	}
}

func TestDeadlineIsTheTimeLimit(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	in := func(d time.Duration) int64 { return time.Now().Add(d).UnixMilli() }
	for deadline, want := range map[string][2]time.Duration{
		fmt.Sprintf(`,"deadline":"%d"`, in(time.Hour)):  {59 * time.Minute, time.Hour},
		fmt.Sprintf(`,"deadline":%d`, in(time.Hour)):    {59 * time.Minute, time.Hour},
		fmt.Sprintf(`,"deadline":"%d"`, in(-time.Hour)): {0, 0}, // a clock that is off, or a client that was frozen
		`,"deadline":"soon"`:                            {0, 0},
		``:                                              {0, 0},
	} {
		g.post("/run", `{"proxiedActionID":"a"`+deadline+`}`).want(t, 200, "")
		if g.host.timeout < want[0] || g.host.timeout > want[1] {
			t.Errorf("%s: %v", deadline, g.host.timeout)
		}
	}
}

func TestAnswerHasTheLogs(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		for _, f := range []struct {
			s    function.Stream
			text string
		}{{1, "one <\n"}, {2, "no line's end"}, {1, "a " + guard + " of its own\n"}, {3, ` {"ü":[1.0, 12345678901234567890]}`}} {
			if err := out.Write(f.s, []byte(f.text)); err != nil {
				return function.Summary{}, err
			}
		}
		return okSummary, nil
	}
	want := `{"response": {"ü":[1.0, 12345678901234567890]},"out":"one <\na ` + broken + ` of its own\n` + guard + `\n","err":"no line's end\n` + guard + `\n"}`
	if r := g.post("/run", byID("a")); r.status != 200 || r.body != want {
		t.Errorf("%d %s\nwant %s", r.status, r.body, want)
	}
}

func TestRunsThatGiveNoResult(t *testing.T) {
	for name, c := range map[string]struct {
		sum    function.Summary
		err    error
		result string
		want   string
	}{
		"crash":       {sum: function.Summary{Outcome: function.OutcomeCrashed, Error: "Exit status 1."}, want: "ended without an answer. Exit status 1.\\n--- stdout ---\\nfirst\\n--- stderr ---\\nwhy"},
		"timeout":     {sum: function.Summary{Outcome: function.OutcomeTimeout}, want: "time limit"},
		"lost":        {sum: function.Lost("x"), want: "not repeated"},
		"cancelled":   {sum: function.Summary{Outcome: function.OutcomeCancelled}, want: "cancelled"},
		"strange":     {sum: function.Summary{Outcome: "strange"}, want: "strange"},
		"a number":    {sum: okSummary, result: "7", want: "dictionary or array"},
		"not JSON":    {sum: okSummary, result: "{oh", want: "dictionary or array"},
		"no result":   {sum: okSummary, want: "dictionary or array"},
		"large":       {sum: okSummary, result: `{"x":"` + repeat("x", 200) + `"}`, want: "above the limit of 100"},
		"busy":        {err: function.Errorf(function.CodeBusy, "too many wait"), want: "could not run: too many wait"},
		"start fails": {err: &function.Error{Code: function.CodeInitFailed, Message: "oh", Logs: "trace"}, want: "oh\\n--- logs ---\\ntrace"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, func(c *Config) { c.MaxResult = 100 })
			g.init(client("a"))
			failing := true
			g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
				if !failing {
					out.Write(function.Result, []byte("{}"))
					return okSummary, nil
				}
				if c.err != nil {
					return function.Summary{}, c.err
				}
				out.Write(function.Stdout, []byte("first\n"))
				out.Write(function.Stderr, []byte("why\n"))
				if err := out.Write(function.Result, []byte(c.result)); err != nil {
					return function.Summary{Outcome: function.OutcomeCancelled}, nil
				}
				return c.sum, nil
			}
			g.post("/run", byID("a")).want(t, 502, c.want)
			failing = false
			if r := g.post("/run", byID("a")); r.status != 200 || strings.Contains(r.body, "first") || strings.Contains(r.body, "why") {
				t.Errorf("the next run's answer is %d %s", r.status, r.body)
			}
			if leases, inits := g.host.counts(); leases != 1 || inits != 1 {
				t.Errorf("%d leases, %d inits", leases, inits)
			}
		})
	}
}

func TestLongLogsOfAFailedRun(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("begin"+repeat("x", maxQuoted)+"the end"))
		return function.Summary{Outcome: function.OutcomeCrashed}, nil
	}
	r := g.post("/run", byID("a"))
	r.want(t, 502, "without its first 12 bytes")
	if !strings.Contains(r.body, `the end"`) || strings.Contains(r.body, "begin") || len(r.body) > maxQuoted+1000 {
		t.Errorf("%d bytes", len(r.body))
	}
}

// A streamed result comes to the same one object as behind OpenWhisk.
func TestStreamedResult(t *testing.T) {
	for want, items := range map[string][]string{
		`{"items":[{"a":1},2]}`: {`{"a":1}`, ``, `2`},
		`{"items":[]}`:          nil,
		`{"n":2}`:               {`1`, `2`, `{"result":{"n":2}}`},
		`{"error":"oh"}`:        {`1`, `{"error":"oh"}`},
	} {
		g := newRig(t)
		g.init(client("a"))
		g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
			for _, item := range items {
				out.Write(function.Result, []byte(item))
			}
			return function.Summary{Outcome: function.OutcomeOK, Stream: true}, nil
		}
		if got := g.post("/run", byID("a")).response(t); got != want {
			t.Errorf("%q: %s, want %s", items, got, want)
		}
	}
}

// What the Host has forgotten starts again, and nobody notices.
func TestForgottenFunctionStartsAgain(t *testing.T) {
	g := newRig(t)
	g.init(client("a").with("X", "y"))
	for _, body := range []string{byID("a"), byHash("h1")} {
		g.host.forget(false)
		g.post("/run", body).want(t, 200, "response")
	}
	if _, inits := g.host.counts(); inits != 3 || len(g.host.ran) != 2 || g.host.inits[0].ID() != g.host.inits[2].ID() {
		t.Errorf("%d inits, %d runs", inits, len(g.host.ran))
	}
	g.host.forget(true)
	g.post("/run", byID("a")).want(t, 404, "code is no longer here")
	g.init(client("a").with("X", "y"))
	g.post("/run", byID("a")).want(t, 200, "response")
}

// A client that stops while its function starts again leaves no lease behind.
func TestStopDuringARestart(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	g.host.forget(false)
	g.host.onInit = func(context.Context, function.Spec) error {
		g.post("/stop", byID("a")).want(t, 200, "ok")
		return nil
	}
	g.post("/run", byID("a"))
	if leases, _ := g.host.counts(); leases != 0 {
		t.Errorf("%d leases are left", leases)
	}
}

// FuzzRun sends arbitrary bodies to /run. What is taken is an object, and the function gets
// its value byte for byte; what is refused says why.
func FuzzRun(f *testing.F) {
	for _, s := range []string{byID("a"), byHash("h1"), `{"actionCodeHash":"h1","value":[1e400,"\ud800"],"deadline":"99999999999999"}`, `{"value":1,"value":2,"proxiedActionID":"a"}`, `{}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		g := newRig(t)
		g.init(client("a"))
		r := g.post("/run", string(body))
		if len(g.host.ran) == 0 {
			if r.status == 200 {
				t.Errorf("%q: nothing ran, but the answer is %s", body, r.body)
			}
			return
		}
		var sent, got struct{ Value json.RawMessage }
		_, text := g.lastRun()
		if json.Unmarshal(body, &sent) != nil || json.Unmarshal([]byte(text), &got) != nil {
			t.Fatalf("%q became %q", body, text)
		}
		if sent.Value == nil && string(got.Value) == "{}" {
			return
		}
		if string(sent.Value) != string(got.Value) {
			t.Errorf("%q became %q", body, text)
		}
	})
}

// A run by hash was counted to a client that stops before it starts: another client's
// session serves it then.
func TestStopOfAnotherClientIsNotNoticed(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	g.init(client("b"))
	g.host.forget(false)
	g.host.onInit = func(context.Context, function.Spec) error {
		g.host.onInit = func(context.Context, function.Spec) error { return nil }
		g.post("/stop", byID("b")).want(t, 200, "ok")
		return nil
	}
	g.post("/run", byHash("h1")).want(t, 200, "response")
	if leases, _ := g.host.counts(); leases != 1 || len(g.host.ran) != 1 {
		t.Errorf("%d leases, %d runs", leases, len(g.host.ran))
	}
}
