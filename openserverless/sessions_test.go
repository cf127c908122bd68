package openserverless

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// No client notices that the server was restarted.
func TestSessionsSurviveARestart(t *testing.T) {
	g := newRig(t)
	g.init(client("a").with("X", "secret").with("__OW_API_KEY", "k"))
	g.init(client("b").with("X", "secret"))
	g.post("/stop", byID("b")).want(t, 200, "ok")
	g.post("/run", byID("a")).want(t, 200, "")
	id, body := g.lastRun()
	g.host.forget(false)
	g.restart()
	g.post("/run", byHash("h1")).want(t, 200, "")
	if id2, body2 := g.lastRun(); id2 != id || body2 != body {
		t.Errorf("after the restart the run was %s, before %s", body2, body)
	}
	g.post("/run", byID("b")).want(t, 404, "")
	g.restart(func(c *Config) { c.Namespace = "other" })
	g.post("/run", byID("a")).want(t, 404, "") // another namespace's listener
	if sessions, _ := g.files(); sessions != 0 {
		t.Errorf("%d sessions are left", sessions)
	}
}

func TestSessionFilesArePrivateAndMayBeDamaged(t *testing.T) {
	g := newRig(t)
	g.init(client("a"))
	dir := filepath.Join(g.dir, "sessions")
	info, err := os.Stat(g.face.sessions.files.path("a"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	good, err := os.ReadFile(g.face.sessions.files.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"x.json": string(good), "y.json": "{", "z.json": "{}", "new-1": string(good)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.restart()
	if sessions, _ := g.files(); sessions != 1 {
		t.Errorf("%d files are left, want the good one", sessions)
	}
	g.post("/run", byID("a")).want(t, 200, "")
}

// A lease lives while its client calls, and ends after a while of silence; the
// next run starts the function again; after a long while the client is forgotten.
func TestSilentClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(c *Config) { c.Idle = 10 * time.Minute })
		g.init(client("a"))
		other := client("b")
		other.hash = "h2"
		g.init(other)
		for range 20 {
			time.Sleep(9 * time.Minute)
			g.post("/run", byID("a")).want(t, 200, "")
		}
		if leases, inits := g.host.counts(); leases != 1 || inits != 2 {
			t.Errorf("%d leases, %d inits, want a's only", leases, inits)
		}
		g.post("/run", byID("b")).want(t, 404, "") // silent for three hours
		time.Sleep(59 * time.Minute)
		g.post("/run", byID("a")).want(t, 200, "") // after an hour it starts again
		if leases, inits := g.host.counts(); leases != 1 || inits != 3 {
			t.Errorf("%d leases, %d inits, want one more start", leases, inits)
		}
		time.Sleep(61 * time.Minute)
		g.post("/run", byID("a")).want(t, 404, "")
		if sessions, _ := g.files(); sessions != 0 {
			t.Errorf("%d sessions are left on disk", sessions)
		}
	})
}

// Runs that name nothing but the hash may be any client's, so they keep them all.
func TestRunsByHashKeepAllClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.init(client("a"))
		g.init(client("b"))
		for range 20 {
			time.Sleep(9 * time.Minute)
			g.post("/run", byHash("h1")).want(t, 200, "")
		}
		g.post("/stop", byID("b")).want(t, 200, "")
		g.post("/run", byHash("h1")).want(t, 200, "") // a's
		g.post("/stop", byID("a")).want(t, 200, "")
		g.post("/run", byHash("h1")).want(t, 404, "")
	})
}

// A client that was killed holds up a new version of its action for so long only.
func TestOldMeaningOfAHashIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.init(client("a"))
		g.post("/run", byHash("h1")).want(t, 200, "")
		g.init(client("b").with("X", "y"))
		time.Sleep(59 * time.Minute)
		g.post("/run", byHash("h1")).want(t, 409, "")
		g.post("/run", byID("b")).want(t, 200, "")
		time.Sleep(2 * time.Minute)
		g.post("/run", byHash("h1")).want(t, 200, "")
		if id, _ := g.lastRun(); id != g.host.inits[1].ID() {
			t.Error("the old one ran")
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.face.sessions.limits.sessions = 3
		for i := range 5 {
			g.init(client(fmt.Sprint(i)))
			time.Sleep(time.Second)
			g.post("/run", byID("0")).want(t, 200, "") // always the most recent one
		}
		for i, want := range []int{200, 404, 404, 200, 200} {
			g.post("/run", byID(fmt.Sprint(i))).want(t, want, "")
		}
		g.face.sessions.limits.bytes = 10
		g.init(client("big"))
		if sessions, _ := g.files(); sessions != 1 || g.face.sessions.order.Len() != 1 || len(g.face.sessions.byHash["h1"].members) != 1 {
			t.Errorf("%d sessions are left, want the new one", sessions)
		}
	})
}

// Sessions whose runs go on are not forgotten, however little room there is.
func TestRunningSessionsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.init(client("a"))
		g.init(client("b"))
		a, err := g.face.sessions.begin(names{actionID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		g.face.sessions.limits.bytes = 10
		g.init(client("c"))
		time.Sleep(24 * time.Hour)
		g.post("/run", byID("c")).want(t, 404, "")
		g.post("/run", byID("b")).want(t, 404, "")
		if !g.face.sessions.end(a) {
			t.Error("the one that ran was forgotten")
		}
		g.post("/run", byID("a")).want(t, 404, "") // there is no room for it
	})
}

// Many clients of several functions at once; each run goes to its own function.
func TestManyClientsAtOnce(t *testing.T) {
	g := newRig(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c := client(fmt.Sprint(i))
			c.hash = fmt.Sprint("h", i%4)
			c.main = fmt.Sprint("f", i%4)
			for range 20 {
				g.init(c)
				g.post("/run", byID(c.id)).want(t, 200, "")
				g.post("/run", byHash(c.hash)).want(t, 200, "")
				g.post("/stop", byID(c.id)).want(t, 200, "")
			}
		})
	}
	wg.Wait()
	if leases, _ := g.host.counts(); leases != 0 {
		t.Errorf("%d leases are left", leases)
	}
	if sessions, code := g.files(); sessions+code+g.face.sessions.order.Len()+len(g.face.sessions.byHash) != 0 || g.face.sessions.bytes != 0 {
		t.Errorf("something is left: %d files", sessions+code)
	}
}
