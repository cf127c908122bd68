package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/whiskaway/whiskaway/test/postgres"
)

// database is one PostgreSQL server for all tests of this package: the first that
// needs it starts it, TestMain ends it.
var database postgres.Shared

// What a platform keeps on a PostgreSQL server is there again after kill -9 and a
// restart, also with another data directory. Nobody learns the password.
func TestPlatformOnPostgres(t *testing.T) {
	t.Parallel()
	at := database.Database(t)
	dir := t.TempDir()
	s := startStandalone(t, dir, "--store", at)
	s.put("hello", action{kind: "python:3", code: "def main(a):\n    print('seen')\n    return {'hello': a.get('name', 'you')}"})
	s.ask(200, "PUT", restNS+"triggers/t", `{}`, nil)
	s.ask(200, "PUT", restNS+"rules/r", `{"trigger":"/_/t","action":"/_/hello"}`, nil)
	first := s.invoke("hello", `{"name":"Ada"}`)
	var list []wskActivation
	s.ask(200, "GET", restNS+"activations?name=hello", "", &list) // the record is in the database now
	if len(list) != 1 || list[0].ActivationID != first.ActivationID {
		t.Fatalf("the list: %+v", list)
	}
	checkHidden(t, s, at)
	if out := fails(t, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", t.TempDir(), "--store", at); !strings.Contains(out, "another platform uses this database") {
		t.Errorf("a second platform on the same database: %s", out)
	}

	s.Kill()
	s = startStandalone(t, dir, "--store", at)
	checkThere(t, s, first.ActivationID)
	if got := s.result("hello", `{}`); got != `{"hello":"you"}` {
		t.Errorf("after kill -9: %s", got)
	}
	s.stop()
	s = startStandalone(t, t.TempDir(), "--store", at) // on another machine, say
	checkThere(t, s, first.ActivationID)
	var rec wskActivation
	s.ask(200, "GET", restNS+"activations/"+first.ActivationID, "", &rec)
	if fmt.Sprint(rec.Response.Result) != "map[hello:Ada]" || len(rec.Logs) != 1 {
		t.Errorf("the record: %+v", rec)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "platform.db")); err == nil {
		t.Error("there is a file of SQLite, too")
	}
}

// While the database's server is away the platform says so, and it goes on by
// itself when the server is back: also the runs' records are there then.
func TestPlatformWhileItsDatabaseIsAway(t *testing.T) {
	t.Parallel()
	database.Server(t) // or skip
	server, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	at, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := shared(t)
	s := startStandalone(t, t.TempDir(), "--store", at, "--share", dir)
	s.put("slow", action{kind: "python:3", code: `import os, time
def main(a):
    open(a['dir'] + '/begun', 'w').close()
    while not os.path.exists(a['dir'] + '/end'): time.sleep(.01)
    return {'over': True}`})
	running := s.invokeBeside("slow", fmt.Sprintf(`{"dir":%q}`, dir))
	eventually(t, "it runs", func() bool {
		_, err := os.Stat(filepath.Join(dir, "begun"))
		return err == nil
	})
	server.Kill()
	var failure struct{ Error string }
	s.ask(503, "GET", restNS+"actions/slow", "", &failure)
	if !strings.Contains(failure.Error, "database cannot be reached just now") {
		t.Error(failure.Error)
	}
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	over := <-running
	if !over.Response.Success {
		t.Errorf("a run under way: %+v", over)
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record is in the database", func() bool {
		status, b := s.call("GET", restNS+"activations?name=slow", "")
		return status == 200 && strings.Contains(string(b), over.ActivationID)
	})
	s.put("slow", action{kind: "python:3", code: "def main(a): return {'anew': True}"})
	if got := s.result("slow", `{}`); got != `{"anew":true}` {
		t.Error(got)
	}
}

// A platform whose database another one has taken, while its own session was away,
// ends and says why.
func TestAPlatformThatLostItsDatabaseEnds(t *testing.T) {
	t.Parallel()
	at := database.Database(t)
	s := startStandalone(t, t.TempDir(), "--store", at)
	other, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	const locks = " FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	taken := make(chan error, 1)
	go func() { // it waits in line for the lock, as no platform does, and so is the first to have it
		_, err := other.Exec(t.Context(), "SELECT pg_advisory_lock(classid::int, hashtext(current_schema()))"+locks+" AND granted")
		taken <- err
	}()
	witness, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer witness.Close(context.Background())
	eventually(t, "the other one waits", func() bool {
		var n int
		return witness.QueryRow(t.Context(), "SELECT count(*)"+locks+" AND NOT granted").Scan(&n) == nil && n == 1
	})
	if _, err := witness.Exec(t.Context(), "SELECT pg_terminate_backend(pid)"+locks+" AND granted"); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	<-s.Ended
	if s.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(s.log(), "another platform uses this database") {
		t.Errorf("%v: %s", s.cmd.ProcessState, s.log())
	}
}

func checkThere(t *testing.T, s *standalone, activation string) {
	t.Helper()
	var a wskAction
	s.ask(200, "GET", restNS+"actions/hello", "", &a)
	var r wskRule
	s.ask(200, "GET", restNS+"rules/r", "", &r)
	if a.Version != "0.0.1" || a.Exec.Code == nil || r.Status != "active" {
		t.Errorf("%+v, %+v", a, r)
	}
	s.ask(200, "GET", restNS+"activations/"+activation, "", nil)
}

// checkHidden looks for the password of a URL in all that shows something of the platform.
func checkHidden(t *testing.T, s *standalone, at string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	shown := map[string]string{"its output": s.Stdout.String(), "its log": s.log()}
	for _, file := range []string{"cmdline", "environ"} {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file)); err == nil {
			shown[file] = string(b)
		}
	}
	s.put("look", action{kind: "python:3", code: "import os\ndef main(a): return {'env': dict(os.environ)}"})
	shown["a function's environment"] = s.result("look", `{}`)
	for where, text := range shown {
		for _, secret := range []string{password, url.QueryEscape(password), strings.TrimPrefix(u.User.String(), "whiskaway:")} {
			if strings.Contains(text, secret) {
				t.Errorf("the password is in %s", where)
			}
		}
	}
}

// The environment says where the store is, as the flag does, and is hidden then.
func TestPlatformOnPostgresByTheEnvironment(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(database.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	dir := t.TempDir()
	s := &standalone{dir: dir, process: start(t, []string{"WHISKAWAY_STORE=" + u.String(), "PGPASSWORD=" + password}, nil,
		"standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", dir)}
	s.api = s.waitFor(`platform listening on (\S+)`)
	s.auth = prop(t, filepath.Join(dir, "wskprops"), "AUTH")
	u.User = url.UserPassword(u.User.Username(), password)
	checkHidden(t, s, u.String())
}

func TestAWrongStoreIsExplained(t *testing.T) {
	t.Parallel()
	for store, want := range map[string]string{
		"mysql://x":                           "postgres://USER@HOST:5432/DATABASE",
		"postgres://u:secret@127.0.0.1:1/db":  "is the server running",
		"postgres://u:secret@[127.0.0.1:1/db": "it looks like postgres://",
	} {
		out := fails(t, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", t.TempDir(), "--store", store)
		if !strings.Contains(out, want) || strings.Contains(out, "secret") || strings.Contains(out, "goroutine") {
			t.Errorf("%s: %s", store, out)
		}
	}
	if out := fails(t, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", t.TempDir(), "--store", "postgres://127.0.0.1:1/db", "--store-sync"); !strings.Contains(out, "synchronous_commit") {
		t.Error(out)
	}
	if out := fails(t, "standalone", "--data", t.TempDir(), "--keep-activations", "-1h"); !strings.Contains(out, "--keep-activations") {
		t.Error(out)
	}
}

// Records are kept for the time that the operator says.
func TestActivationsAreKeptForATime(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir(), "--keep-activations", "3s")
	s.put("hello", action{kind: "python:3", code: "def main(a): return {}"})
	s.invoke("hello", `{}`)
	count := func() int {
		var n struct{ Activations int }
		_, b := s.call("GET", restNS+"activations?count=true", "")
		if err := json.Unmarshal(b, &n); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return n.Activations
	}
	eventually(t, "the record is removed", func() bool { return count() == 0 })
	s.invoke("hello", `{}`)
	if n := count(); n != 1 {
		t.Errorf("%d records of a new run", n)
	}
}
