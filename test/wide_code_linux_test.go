package test

import (
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// noteStart notes, when the function starts, which host that is on: the network
// namespace tells. {{SHARE}} is replaced.
const noteStart = `
import os, time
fd = os.open("{{SHARE}}/starts", os.O_WRONLY | os.O_APPEND)
os.write(fd, (os.readlink("/proc/self/ns/net") + "\n").encode())
os.close(fd)
def main(args):
    time.sleep(0.3)
    return args
`

// noting is a function that notes its starts, with size bytes of noise beside it.
func (w *wideStage) noting(size int, needs function.Requirements) (function.Spec, []byte) {
	w.t.Helper()
	code := zipStored(w.t, map[string]string{"__main__.py": strings.ReplaceAll(noteStart, "{{SHARE}}", w.share), "noise": noise(size)})
	return specOf("python:3", string(code), func(s *function.Spec) { s.Binary, s.Require = true, needs }), code
}

func (w *wideStage) clientConfig() wire.ClientConfig {
	return wire.ClientConfig{URL: w.url(), Token: w.token, DialContext: w.dial}
}

// startsByHost counts the starts noted from the nth on.
func (w *wideStage) startsByHost(from int) map[string]int {
	w.t.Helper()
	count := map[string]int{}
	for _, host := range w.notes("starts")[from:] {
		count[host]++
	}
	return count
}

// A hundred clients bring the same code, and it is needed on two servers: it crosses
// once to the balancer, and from there once to each server, whose ports count that.
func TestAlwaysTrue8CodeReachesEachServerOnce(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	servers := []*wideServer{w.newServer(on(t)(w.net.Host("one")), b), w.newServer(on(t)(w.net.Host("two")), b)}
	clients, size := rounds(24, 100), rounds(3<<20, 40<<20)
	// One run at a time on each server, so that one server is too little.
	spec, code := w.noting(size, function.Requirements{Workers: 1, Concurrency: 1})
	_, before := b.traffic(t)
	initTogether(t, w.clientConfig(), clients, spec, code)
	_, after := b.traffic(t)

	const perClient = 32 << 10 // what else a client says, with TLS and all headers
	for _, s := range servers {
		if _, got, err := s.host.Traffic(); err != nil || got < int64(size) || got > int64(size)*5/4+int64(clients*perClient) {
			t.Errorf("%s has received %d bytes, for %d of code: %v", s.host.Name, got, size, err)
		}
	}
	if got := after - before; got < int64(size) || got > int64(size)*5/4+int64(clients*perClient) {
		t.Errorf("the balancer has received %d bytes, for %d of code", got, size)
	}
	for host, n := range w.startsByHost(0) {
		if n != 1 {
			t.Errorf("it was started %d times on %s", n, host)
		}
	}
}

func (b *wideBalancer) traffic(t *testing.T) (sent, received int64) {
	t.Helper()
	sent, received, err := b.host.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	return sent, received
}

// Twenty calls at once of a function that is nowhere start it once on each server that is
// chosen for it; so do the next twenty, after all servers have lost it.
func TestAlwaysTrue8BurstOnAColdFunctionStartsItOnce(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	var servers []*wideServer
	for _, name := range []string{"one", "two", "three"} {
		servers = append(servers, w.newServer(on(t)(w.net.Host(name)), b))
	}
	bursts := rounds(2, 20)
	for burst := range bursts {
		// Room for all on one server, or not even on all three.
		spec, code := w.noting(0, function.Requirements{Workers: 1, Concurrency: []int{20, 5}[burst%2]})
		from := len(w.notes("starts"))
		initTogether(t, w.clientConfig(), 20, spec, code)
		starts := w.startsByHost(from)
		t.Logf("burst %d: started on %d servers", burst, len(starts))
		if len(starts) == 0 {
			t.Error("it was not cold")
		}
		for host, n := range starts {
			if n != 1 {
				t.Errorf("it was started %d times on %s", n, host)
			}
		}
		if burst+1 < bursts {
			w.loseAll(servers)
		}
	}
}

// loseAll kills all servers at the same moment, and starts them again.
func (w *wideStage) loseAll(servers []*wideServer) {
	w.t.Helper()
	for _, s := range servers {
		s.kill()
	}
	for _, s := range servers {
		s.start()
	}
	eventually(w.t, "all servers are back", func() bool { return len(w.members()) == len(servers) })
}
