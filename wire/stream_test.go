package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// curl asks for a run as a person with a token would.
func curl(t *testing.T, ctx context.Context, addr, accept string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+addr+"/run", strings.NewReader(`{"value":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "Bearer "+testSecret)
	req.Header.Set(headerFunction, function.ID{1}.String())
	req.Header.Set(headerLease, "l1")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestItemsInsteadOfFrames(t *testing.T) {
	ok := function.Summary{Outcome: function.OutcomeOK, Stream: true}
	for _, c := range []struct {
		name          string
		items         []string
		sum           function.Summary
		err           error
		status        int
		started       string
		events, lines string
	}{
		{"items", []string{`1`, `{"a":2}`}, ok, nil, 200, "",
			"data: 1\n\ndata: {\"a\":2}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":2}\n\n", "1\n{\"a\":2}\n"},
		{"lost", []string{`1`}, function.Lost("it is gone"), nil, 200, "",
			"data: 1\n\nevent: error\ndata: {\"error\":\"it is gone\"}\n\nevent: end\ndata: {\"outcome\":\"lost\",\"items\":1}\n\n", "1\n{\"error\":\"it is gone\"}\n"},
		{"lost before", nil, function.Lost("it is gone"), nil, 502, "", "{\"error\":\"it is gone\"}\n", "{\"error\":\"it is gone\"}\n"},
		{"without words", nil, function.Summary{Outcome: function.OutcomeCrashed}, nil, 502, "",
			"{\"error\":\"the run ended without a result: crashed\"}\n", "{\"error\":\"the run ended without a result: crashed\"}\n"},
		{"refused", nil, function.Summary{}, function.Errorf(function.CodeBusy, "come again"), 429, "no",
			"{\"error\":\"come again\",\"code\":\"busy\"}\n", "{\"error\":\"come again\",\"code\":\"busy\"}\n"},
	} {
		host := &fakeHost{run: func(_ context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
			out.Write(function.Stdout, []byte("a log"))
			for _, item := range c.items {
				if err := out.Write(function.Result, []byte(item)); err != nil {
					t.Error(err)
				}
			}
			return c.sum, c.err
		}}
		_, addr := serveHost(t, host)
		for accept, want := range map[string]string{"text/event-stream": c.events, "application/x-ndjson": c.lines} {
			resp := curl(t, t.Context(), addr, accept)
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || string(body) != want || resp.Header.Get(headerStarted) != c.started {
				t.Errorf("%s: %d, %v, started %q\n%s\nwant %d\n%s", c.name, resp.StatusCode, err, resp.Header.Get(headerStarted), body, c.status, want)
			}
		}
	}
}

// Over two hops: item n+1 is made when item n has come, and the run ends when its reader leaves.
func TestItemsCrossTheWireOneByOne(t *testing.T) {
	noLeaks(t)
	seen, ended := make(chan struct{}), make(chan struct{})
	far, _ := serveHost(t, &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		defer close(ended)
		for i := 0; ; i++ {
			out.Write(function.Result, fmt.Append(nil, i))
			select {
			case <-seen:
			case <-ctx.Done():
				return function.Summary{Outcome: function.OutcomeCancelled}, nil
			}
		}
	}})
	_, addr := serveHost(t, far)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	lines := bufio.NewReader(curl(t, ctx, addr, "application/x-ndjson").Body)
	for i := range 5 {
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintln(i) {
			t.Fatalf("%q, %v", line, err)
		}
		if i < 4 {
			seen <- struct{}{}
		}
	}
	leave()
	<-ended
}
