package test

import (
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// waitPy says that it runs, and where, and waits for a file.
const waitPy = `
import os, time
def main(args):
    share = args["share"]
    with open(share + "/ran", "a") as f:
        f.write("x\n")
    while args.get("wait") and not os.path.exists(share + "/go"):
        time.sleep(0.01)
    return {"pid": os.getpid()}
`

// serverOf returns the status of a server by its name.
func (s *stage) serverOf(name string) function.ServerStatus {
	for _, v := range s.status().Servers {
		if v.Name == name {
			return v
		}
	}
	return function.ServerStatus{}
}

// While a server is drained its run goes on, and all that is new runs elsewhere.
func TestADrainedServersWorkMovesAway(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, 2)
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER=http://"+s.address, "WHISKAWAY_TOKEN="+s.token)
	if status, b := r.post("/init", initBody("main@box", waitPy, nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	ended := make(chan string, 1)
	go func() {
		_, b := r.post("/run", runBody(`{"share":"`+s.share+`","wait":true}`, "id", time.Now().Add(time.Minute)))
		ended <- b
	}()
	s.started(1)
	var home string
	eventually(t, "the status tells where it runs", func() bool {
		for _, v := range s.status().Servers {
			if v.Running == 1 {
				home = v.Name
			}
		}
		return home != ""
	})
	admin := []string{"drain", home, "--data", s.home}
	if said := fails(t, append(admin, "--timeout", "100ms")...); !strings.Contains(said, "still under way") {
		t.Errorf("it said %q", said)
	}
	eventually(t, "the status says that it drains", func() bool { return s.serverOf(home).Draining })
	if status, b := r.post("/run", runBody(`{"share":"`+s.share+`"}`, "id2", time.Now().Add(time.Minute))); status != 200 {
		t.Errorf("a run while it drains: %d %s", status, b)
	}
	if v := s.serverOf(home); v.Running != 1 {
		t.Errorf("%d runs are under way on the one that drains", v.Running)
	}
	drained := make(chan string, 1)
	go func() { drained <- run(t, admin...) }()
	s.let("go")
	if b := <-ended; !strings.Contains(b, "pid") {
		t.Errorf("the run that was under way ended as %s", b)
	}
	if said := <-drained; !strings.Contains(said, home+" is empty") {
		t.Errorf("it said %q", said)
	}
	if said := run(t, admin...); !strings.Contains(said, home+" is empty") {
		t.Errorf("asked again, it said %q", said)
	}
	if v := s.serverOf(home); !v.Draining || v.Workers != 0 {
		t.Errorf("afterwards it is %+v", v)
	}
}

func TestDrainOfADirectServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, nil, nil, "server", "--listen", "127.0.0.1:0", "--data", dir, "--name", "alone")
	p.waitFor("server listening on")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"drain", "--data", dir}, "say which server"},
		{[]string{"drain", "nobody", "--data", dir}, "connected are alone ("},
		{[]string{"drain", "alone", "--data", t.TempDir()}, "--balancer or --data"},
	} {
		if said := fails(t, c.args...); !strings.Contains(said, c.want) {
			t.Errorf("%v said %q, which lacks %q", c.args, said, c.want)
		}
	}
	if said := run(t, "drain", "alone", "--data", dir); !strings.Contains(said, "alone is empty") {
		t.Errorf("it said %q", said)
	}
	client := wireClient(t, "http://"+strings.TrimPrefix(p.waitFor(`server listening on (\S+)`), "http://"), readToken(t, dir, "client"))
	spec := specOf("python:3", waitPy)
	_, err := client.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID()})
	if function.CodeOf(err) != function.CodeDraining {
		t.Errorf("a start on it: %v", err)
	}
}
