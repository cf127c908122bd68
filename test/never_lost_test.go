package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// noting writes each run's input, with its activation's id, as a line into the file in its
// arguments; what O_APPEND writes at once is never mixed. Then it takes the time in its arguments. Each
// container may be a user of its own, so all may write the file.
const noting = `#!/bin/sh
umask 0
echo '{"ok":true}' >&3
while read -r line; do
	printf '%s\n' "$line" >> NOTES
	case "$line" in *'"slow":true'*) sleep 0.2 ;; esac
	printf '{"done":true}\n' >&3
done
`

// A loader is callers of all sorts, who note what the platform has promised them.
type loader struct {
	*standalone
	round  int
	client *http.Client
	done   sync.WaitGroup
	stop   chan struct{}

	mu       sync.Mutex
	runs     map[string]bool // answered 202 with these ids
	firings  map[string]bool // the same, of triggers
	entities []string        // paths whose PUT was answered 200
}

func newLoader() *loader {
	return &loader{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
		runs:   map[string]bool{}, firings: map[string]bool{},
	}
}

// begin puts load on s until finish.
func (l *loader) begin(s *standalone, round int) {
	l.standalone, l.round, l.stop = s, round, make(chan struct{})
	for range 8 {
		l.caller(l.runs, "actions/note", `{"how":"unasked"}`)
	}
	for i := range 4 { // some get their result, for others it takes too long
		l.caller(l.runs, "actions/note?blocking=true&timeout=100", fmt.Sprintf(`{"how":"waiting","slow":%v}`, i > 0))
	}
	for range 2 {
		l.caller(l.firings, "triggers/bell", `{"how":"rung"}`)
	}
	for i := range 2 {
		l.writer(i)
	}
}

// repeat calls do with 0, 1, … until the load ends or do returns false.
func (l *loader) repeat(do func(i int) bool) {
	stop := l.stop
	l.done.Go(func() {
		for i := 0; do(i); i++ {
			select {
			case <-stop:
				return
			default:
			}
		}
	})
}

func (l *loader) caller(promised map[string]bool, path, body string) {
	l.repeat(func(int) bool {
		status, answer := l.try("POST", restNS+path, body)
		if status != 202 {
			return status != 0
		}
		var accepted struct {
			ActivationID string `json:"activationId"`
		}
		if err := json.Unmarshal(answer, &accepted); err != nil || accepted.ActivationID == "" {
			l.t.Errorf("a 202 without an id: %s", answer)
			return false
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		promised[accepted.ActivationID] = true
		return true
	})
}

// writer makes entities of all sorts.
func (l *loader) writer(n int) {
	l.repeat(func(i int) bool {
		collection := []string{"actions", "triggers", "packages", "rules"}[i%4]
		body := map[string]string{
			"actions": `{"exec":{"kind":"native","code":"#!/bin/sh\n"}}`, "triggers": `{}`, "packages": `{}`,
			"rules": `{"trigger":"/_/bell-of-nobody","action":"/_/note"}`,
		}[collection]
		path := fmt.Sprintf("%s%s/e-%d-%d-%d", restNS, collection, l.round, n, i)
		status, _ := l.try("PUT", path, body)
		if status == 200 {
			l.mu.Lock()
			l.entities = append(l.entities, path)
			l.mu.Unlock()
		}
		return status != 0
	})
}

// try is call for a platform that may be gone: then the status is 0. A cut answer counts
// as none.
func (l *loader) try(method, path, body string) (int, []byte) {
	req, err := http.NewRequest(method, l.api+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return 0, nil
	}
	user, key, _ := strings.Cut(l.auth, ":")
	req.SetBasicAuth(user, key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

func (l *loader) finish() {
	close(l.stop)
	l.done.Wait()
}

// record waits for the record of an activation that was promised.
func (l *loader) record(id string) (a activation) {
	l.t.Helper()
	eventually(l.t, "the record of "+id, func() bool {
		status, b := l.call("GET", restNS+"activations/"+id, "")
		if status != 200 && status != 404 {
			l.t.Fatalf("asking for %s: %d %s", id, status, b)
		}
		return status == 200 && json.Unmarshal(b, &a) == nil
	})
	return a
}

// check waits for the records of all that was promised, and returns how each run ended.
func (l *loader) check() map[string]activation {
	l.t.Helper()
	for id := range l.firings {
		for _, line := range l.record(id).Logs {
			var of struct {
				ActivationID string `json:"activationId"`
				Success      bool
			}
			if err := json.Unmarshal([]byte(line), &of); err != nil || of.Success != (of.ActivationID != "") {
				l.t.Errorf("the record of a firing says %s", line)
			}
			if of.Success {
				l.runs[of.ActivationID] = true
			}
		}
	}
	ends := map[string]activation{}
	for id := range l.runs {
		ends[id] = l.record(id)
	}
	for _, path := range l.entities {
		if status, b := l.call("GET", path, ""); status != 200 {
			l.t.Errorf("%s was answered 200, and now: %d %s", path, status, b)
		}
	}
	return ends
}

// runsOf counts the lines of each activation in the file that the action writes.
func runsOf(t *testing.T, notes string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(notes)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range bytes.Lines(data) {
		var of struct {
			ActivationID string `json:"activation_id"`
		}
		if err := json.Unmarshal(line, &of); err != nil || of.ActivationID == "" {
			t.Errorf("the action was given %q", line)
		}
		times[of.ActivationID]++
	}
	return times
}

// What was promised is kept, and nothing is run twice, whenever the platform is killed.
func TestAlwaysTrue1And6NothingAcceptedIsLostWhenKilled(t *testing.T) {
	killThePlatform(t, 3)
}

func TestAlwaysTrue1And6NothingAcceptedIsLostWhenKilledOnPostgres(t *testing.T) {
	killThePlatform(t, 3, "--store", database.Database(t))
}

func killThePlatform(t *testing.T, rounds int, args ...string) {
	if os.Getenv("WHISKAWAY_SLOW") != "" {
		rounds = 50
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir, share := t.TempDir(), shared(t)
	notes := filepath.Join(share, "notes")
	args = append(args, "--share", share)
	s := startStandalone(t, dir, args...)
	s.put("note", action{kind: "native", code: strings.ReplaceAll(noting, "NOTES", notes)})
	s.ask(200, "PUT", restNS+"triggers/bell", `{}`, nil)
	s.ask(200, "PUT", restNS+"triggers/bell-of-nobody", `{}`, nil)
	s.ask(200, "PUT", restNS+"rules/bell-note", `{"trigger":"/_/bell","action":"/_/note"}`, nil)
	killed, repeated := 0, 0
	total := newLoader()
	for round := range rounds {
		l := newLoader()
		l.begin(s, round)
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond) // the random moment
		s.kill()
		l.finish()
		s = startStandalone(t, dir, args...)
		l.standalone = s
		for id, a := range l.check() {
			killed += count(strings.Contains(string(a.Response.Result), "platform was killed"))
			total.runs[id] = a.Response.Success
		}
		total.entities = append(total.entities, l.entities...)
	}
	for id, n := range runsOf(t, notes) {
		repeated += count(n > 1)
		if n > 1 {
			t.Errorf("%s ran %d times", id, n)
		}
		total.runs[id] = false
	}
	for id, missing := range total.runs {
		if missing {
			t.Errorf("the record of %s says that it has run, and it has not", id)
		}
	}
	if len(total.entities) == 0 || len(total.runs) == 0 {
		t.Error("there was no load")
	}
	t.Logf("%d rounds: %d runs promised or begun, %d of them cut by a kill, %d repeated; %d entities", rounds, len(total.runs), killed, repeated, len(total.entities))
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
