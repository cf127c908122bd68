package test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// A stage is what stands behind clients: a balancer with servers that dial home,
// or one server that clients reach directly.
type stage struct {
	t       *testing.T
	direct  bool
	address string // of the balancer, or of the only server
	token   string // the clients'
	share   string // a directory of the functions, which count their runs there
	home    string // the balancer's data directory
	dirs    []string
	args    []string // the servers'

	balancer    *process // nil: direct
	servers     []*process
	proxied     bool
	front, back *cutProxy // before the address, if proxied: for clients, for servers
	runs        atomic.Int64

	// Of clients that are on another host, see wideStage:
	secure bool     // they speak TLS with the address
	inside []string // goes before a command line of theirs
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// onBothStages runs the test with a balancer and without.
func onBothStages(t *testing.T, test func(t *testing.T, direct bool)) {
	t.Parallel()
	for name, direct := range map[string]bool{"balancer": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, direct)
		})
	}
}

// newStage starts all of it. args are further ones of the servers.
func newStage(t *testing.T, direct bool, servers int, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, direct: direct}
	s.open(servers, args...)
	return s
}

// newProxiedStage is newStage with proxies on all lines.
func newProxiedStage(t *testing.T, direct bool, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, direct: direct, proxied: true}
	s.open(1, args...)
	return s
}

func (s *stage) open(servers int, args ...string) {
	s.t.Helper()
	s.address, s.token, s.share = ownLoopback()+":0", testToken, shared(s.t)
	s.servers = make([]*process, servers)
	s.args = append([]string{"--label", "box", "--share", s.share}, args...)
	for _, name := range []string{"ran", "cut", "starts"} {
		s.makeNotes(name)
	}
	if !s.direct {
		s.home = s.t.TempDir()
		s.startBalancer()
		s.token = readToken(s.t, s.home, "client")
		if s.proxied {
			s.back = startCutProxy(s.t, s.address)
		}
	}
	for i := range servers {
		s.dirs = append(s.dirs, s.t.TempDir())
		s.startServer(i)
	}
	if s.proxied {
		s.front = startCutProxy(s.t, s.address)
	}
}

// via is the URL behind which the address is: the proxy's if there is one.
func (s *stage) via(p *cutProxy) string {
	if p != nil {
		return "http://" + p.address
	}
	return s.url()
}

func (s *stage) url() string {
	if s.secure {
		return "https://" + s.address
	}
	return "http://" + s.address
}

// ownLoopback is an address of this machine that nobody else uses, so that a
// port there is still free when its program is started again.
func ownLoopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.N(250), rand.N(250), 1+rand.N(250))
}

// makeNotes makes a file to which functions of any user can add a line.
func (s *stage) makeNotes(name string) {
	s.t.Helper()
	path := filepath.Join(s.share, name)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		s.t.Fatal(err)
	}
}

// notes returns the lines of such a file.
func (s *stage) notes(name string) []string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.share, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func (s *stage) startBalancer() {
	s.t.Helper()
	s.balancer = start(s.t, nil, nil, "balancer", "--listen", s.address, "--data", s.home)
	s.address = strings.TrimPrefix(s.balancer.waitFor(`balancer listening on (\S+)`), "http://")
}

// startServer starts the ith server, and returns when it serves.
func (s *stage) startServer(i int) {
	s.t.Helper()
	args := append([]string{"server", "--data", s.dirs[i], "--name", fmt.Sprint("box-", i)}, s.args...)
	if s.direct {
		s.servers[i] = start(s.t, nil, nil, append(args, "--listen", s.address, "--token", s.token)...)
		s.address = strings.TrimPrefix(s.servers[i].waitFor(`server listening on (\S+)`), "http://")
		return
	}
	args = append(args, "--balancer", s.via(s.back), "--token", readToken(s.t, s.home, "join"))
	s.servers[i] = start(s.t, nil, nil, args...)
	s.servers[i].waitFor("joined")
	s.awaitOffers(i)
}

// awaitOffers waits until the balancer has noted, should it be killed, that the
// ith server was there.
func (s *stage) awaitOffers(i int) {
	s.t.Helper()
	id, err := os.ReadFile(filepath.Join(s.dirs[i], "id"))
	if err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the balancer notes the server", func() bool {
		b, _ := os.ReadFile(filepath.Join(s.home, "balancer", "offers.json"))
		return strings.Contains(string(b), strings.TrimSpace(string(id)))
	})
}

// status is that of the balancer or of the only server.
func (s *stage) status() function.Status {
	s.t.Helper()
	var now function.Status
	admin := s.token
	if !s.direct {
		admin = readToken(s.t, s.home, "admin")
	}
	c, err := wire.NewClient(wire.ClientConfig{URL: s.url(), Token: admin, DialContext: s.dial})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	err = c.Watch(ctx, func(st function.Status) error { now = st; return io.EOF })
	if len(now.Servers) == 0 && err != io.EOF {
		s.t.Logf("the status: %v", err)
	}
	return now
}

// leases is how many leases the servers know of all functions together.
func (s *stage) leases() (n int) {
	for _, f := range s.status().Functions {
		n += f.Leases
	}
	return n
}

// running is how many runs are under way on all servers, or wait at the balancer.
func (s *stage) running() (n int) {
	now := s.status()
	for _, v := range now.Servers {
		n += v.Running + v.Queued
	}
	for _, w := range now.Waiting {
		n += w.Runs
	}
	return n
}

// functionDirs lists what the servers have of functions on their disks.
func (s *stage) functionDirs() (all []string) {
	for _, dir := range s.dirs {
		left, _ := filepath.Glob(filepath.Join(dir, "functions", "*"))
		all = append(all, left...)
	}
	return all
}

// started waits until the function itself has counted n runs.
func (s *stage) started(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d runs start", n), func() bool { return len(s.notes("ran")) >= n })
}

// let lets the runs go on that wait for the file.
func (s *stage) let(file string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.share, file), nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// rounds is short, or long for WHISKAWAY_SLOW.
func rounds(short, long int) int {
	if slow() {
		return long
	}
	return short
}
