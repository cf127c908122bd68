package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/test/harness"
	"github.com/whiskaway/whiskaway/test/netns"
)

// A wideStage is a stage whose parts are hosts of a network: each is a network
// namespace, and all speak TLS with the balancer. Its functions still share a
// directory, where they note what they do.
type wideStage struct {
	*stage // with the first balancer behind its clients
	net    *netns.Network
}

// widePort is where balancers listen. Each is alone at its address, also after a restart.
const widePort = ":3234"

// A wideBalancer is a balancer on a host of its own.
type wideBalancer struct {
	*process
	t             *testing.T
	host          *netns.Host
	home, address string
}

// A wideServer is a server on a host of its own.
type wideServer struct {
	*process
	t    *testing.T
	host *netns.Host
	dir  string
	args []string
}

// newWideStage makes a network with a host for clients and one balancer. Where
// there can be none, the test is skipped.
func newWideStage(t *testing.T) (*wideStage, *wideBalancer) {
	t.Helper()
	w := &wideStage{stage: &stage{t: t, secure: true, share: shared(t)}, net: netns.Start(t)}
	for _, name := range []string{"ran", "cut", "starts"} {
		w.makeNotes(name)
	}
	clients := on(t)(w.net.Host("clients"))
	w.inside, w.dial = clients.Inside(), clients.DialContext
	b := w.newBalancer("balancer")
	w.address, w.home, w.token = b.address, b.home, b.token("client")
	return w, b
}

// on is for hosts that the test needs.
func on(t *testing.T) func(*netns.Host, error) *netns.Host {
	return func(h *netns.Host, err error) *netns.Host {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

// longLine is a host at the end of a long line, if there can be one.
func (w *wideStage) longLine(name string, how netns.Line) *netns.Host {
	w.t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		w.t.Skip("a long line needs the kernel's TAP devices: ", err)
	}
	return on(w.t)(w.net.HostByLine(name, how))
}

// newBalancer starts a balancer on a host of that name.
func (w *wideStage) newBalancer(name string) *wideBalancer {
	w.t.Helper()
	h := on(w.t)(w.net.Host(name))
	b := &wideBalancer{t: w.t, host: h, home: w.t.TempDir(), address: h.IP + widePort}
	b.start()
	return b
}

func (b *wideBalancer) start() {
	b.t.Helper()
	b.process = startBehind(b.t, b.host.Inside(), nil, nil, "balancer", "--listen", b.address, "--data", b.home)
	b.waitFor(`balancer listening on (\S+)`)
}

func (b *wideBalancer) token(role string) string {
	b.t.Helper()
	return readToken(b.t, b.home, role)
}

func (b *wideBalancer) url() string { return "https://" + b.address }

// newServer starts a server on a host, and returns when it has joined all balancers.
// It belongs to the stage, which looks for what it leaves.
func (w *wideStage) newServer(h *netns.Host, balancers ...*wideBalancer) *wideServer {
	w.t.Helper()
	s := &wideServer{t: w.t, host: h, dir: w.t.TempDir()}
	s.args = []string{"server", "--data", s.dir, "--name", h.Name, "--label", "box", "--share", w.share, "--lease-grace", "100ms"}
	for _, b := range balancers {
		s.args = append(s.args, "--balancer", b.url(), "--token", b.token("join"))
	}
	w.dirs = append(w.dirs, s.dir)
	s.start()
	for _, b := range balancers {
		s.waitFor("joined " + b.url())
		b.knows(s)
	}
	return s
}

func (s *wideServer) start() {
	s.t.Helper()
	s.process = startBehind(s.t, s.host.Inside(), nil, nil, s.args...)
}

// knows waits until the balancer has noted, should it be killed, that the server was there.
func (b *wideBalancer) knows(s *wideServer) {
	b.t.Helper()
	id, err := os.ReadFile(filepath.Join(s.dir, "id"))
	if err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "the balancer notes the server", func() bool {
		offers, _ := os.ReadFile(filepath.Join(b.home, "balancer", "offers.json"))
		return strings.Contains(string(offers), strings.TrimSpace(string(id)))
	})
}

// members are the names of the servers that the first balancer has now.
func (w *wideStage) members() (names []string) {
	for _, v := range w.status().Servers {
		names = append(names, v.Name)
	}
	return names
}

// has reports whether the server is among them.
func (w *wideStage) has(s *wideServer) bool { return slices.Contains(w.members(), s.host.Name) }

// through are what makes a client one of that balancer.
func through(b *wideBalancer) []string {
	return []string{"WHISKAWAY_BALANCER=" + b.url(), "WHISKAWAY_TOKEN=" + b.token("client")}
}

// orphanLease is how long a server keeps what a balancer has leased that is gone, or
// was parted from it: DefaultLeaseTTL, and a while for the machine.
const orphanLease = function.DefaultLeaseTTL + patience

// nothingRuns checks, after the clients have ended, that no run is under way any more;
// with WHISKAWAY_SLOW also that the servers let go all that clients had.
func (w *wideStage) nothingRuns() {
	w.t.Helper()
	eventually(w.t, "no run is under way", func() bool { return w.running() == 0 })
	if slow() {
		harness.EventuallyWithin(w.t, orphanLease, "the servers let the functions go", func() bool {
			return len(w.status().Functions) == 0 && len(w.functionDirs()) == 0
		})
	}
}
