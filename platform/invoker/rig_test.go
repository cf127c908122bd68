package invoker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A rig is an invoker with a real store and a real queue. Its containers are fakes
// in this process, which speak HTTP through real sockets.
type rig struct {
	t         *testing.T
	invoker   *Invoker
	store     store.Store
	runs      *bus.Memory[*bus.Run]
	completed bus.Subscription[*bus.Completed]
	driver    *fakeDriver
	code      int64

	mu      sync.Mutex
	waiting map[string]chan *bus.Completed
	last    int
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "db"), log)
	if err != nil {
		t.Fatal(err)
	}
	text := "code"
	e, err := st.Put(t.Context(), store.Entity{Key: store.Key{Namespace: "guest", Name: "a"}, Collection: store.Actions, Doc: []byte("{}")}, &text)
	if err != nil {
		t.Fatal(err)
	}
	bounds := bus.Bounds{Messages: 10_000, Bytes: 1 << 30}
	g := &rig{
		t: t, store: st, runs: bus.NewMemory[*bus.Run](bounds), code: e.CodeID,
		driver: &fakeDriver{}, waiting: map[string]chan *bus.Completed{},
	}
	completed := bus.NewMemory[*bus.Completed](bounds)
	if g.completed, err = completed.Subscribe(); err != nil {
		t.Fatal(err)
	}
	replies := func(string) bus.Topic[*bus.Completed] { return completed }
	if g.invoker, err = New(cfg, g.driver, st, g.runs, replies, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() { g.listen(ctx) })
	t.Cleanup(func() {
		within, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := g.invoker.Close(within); err != nil {
			t.Errorf("Close: %v", err)
		}
		cancel()
		listening.Wait()
		if err := st.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
		if n := g.driver.alive(); n > 0 {
			t.Errorf("%d containers outlive the invoker", n)
		}
	})
	return g
}

func (g *rig) listen(ctx context.Context) {
	for {
		d, err := g.completed.Receive(ctx)
		if err != nil {
			return
		}
		d.Ack(context.Background())
		g.mu.Lock()
		g.waiting[d.Body.ActivationID] <- d.Body
		g.mu.Unlock()
	}
}

// begin sends a run of the action; change may alter it. The answer comes on the channel.
func (g *rig) begin(action string, change func(*bus.Run)) <-chan *bus.Completed {
	g.t.Helper()
	g.mu.Lock()
	g.last++
	run := &bus.Run{
		ActivationID: fmt.Sprintf("%032d", g.last), Namespace: "guest", Args: json.RawMessage(`{}`), ReplyTo: "c",
		Accepted: time.Now().UnixMicro(),
		Action: bus.Action{
			Namespace: "guest", Name: action, Revision: 1, CodeID: g.code, Kind: "x",
			Limits: bus.Limits{Timeout: 60_000, Memory: 128, Logs: 1, Concurrency: 1},
		},
	}
	if change != nil {
		change(run)
	}
	answer := make(chan *bus.Completed, 1)
	g.waiting[run.ActivationID] = answer
	g.mu.Unlock()
	if err := g.runs.Publish(g.t.Context(), bus.Message[*bus.Run]{Key: run.ActivationID, Body: run}); err != nil {
		g.t.Fatal(err)
	}
	return answer
}

// run is begin, and waits for the end.
func (g *rig) run(action string, change func(*bus.Run)) *bus.Completed {
	g.t.Helper()
	select {
	case c := <-g.begin(action, change):
		return c
	case <-time.After(30 * time.Second):
		g.t.Fatal("the run does not end")
		return nil
	}
}

// A fakeDriver makes containers that behave as the next script says.
type fakeDriver struct {
	mu     sync.Mutex
	next   []script // for those that are started; then all are good
	all    []*fakeContainer
	serve  http.HandlerFunc // of good ones, for /run; nil: answers {}
	refuse error            // why none can be started
}

// A script says what a container does.
type script struct {
	init, run http.HandlerFunc // nil: good
	atStart   func(c *fakeContainer)
}

func (d *fakeDriver) play(scripts ...script) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = scripts
}

func (d *fakeDriver) Start(context.Context, Spec) (Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &fakeContainer{driver: d, listener: l, done: make(chan struct{})}
	if len(d.next) > 0 {
		c.script, d.next = d.next[0], d.next[1:]
	} else {
		c.script.run = d.serve
	}
	for i := range c.out {
		c.logs[i], c.out[i] = io.Pipe()
	}
	c.server = &http.Server{Handler: c}
	d.all = append(d.all, c)
	if c.script.atStart != nil {
		c.script.atStart(c)
	}
	go c.server.Serve(l)
	return c, nil
}

func (d *fakeDriver) alive() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.all {
		select {
		case <-c.done:
		default:
			n++
		}
	}
	return n
}

// counts returns how many containers were started, and how often they were asked.
func (d *fakeDriver) counts() (starts, inits, runs int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.all {
		c.mu.Lock()
		inits, runs = inits+c.inits, runs+c.runs
		c.mu.Unlock()
	}
	return len(d.all), inits, runs
}

// A fakeContainer serves /init and /run.
type fakeContainer struct {
	driver   *fakeDriver
	script   script
	listener net.Listener
	server   *http.Server
	logs     [2]*io.PipeReader
	out      [2]*io.PipeWriter
	done     chan struct{}
	ending   sync.Once

	mu          sync.Mutex
	inits, runs int
}

func (c *fakeContainer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	does := c.script.run
	c.mu.Lock()
	if r.URL.Path == "/init" {
		c.inits++
		does = c.script.init
	} else {
		c.runs++
	}
	c.mu.Unlock()
	if does == nil {
		does = answering(200)
	}
	if r.URL.Path == "/run" {
		defer c.guards()
	}
	does(w, r)
}

func (c *fakeContainer) guards() {
	io.WriteString(c.out[0], guardLine+"\n")
	io.WriteString(c.out[1], guardLine+"\n")
}

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(status)
		io.WriteString(w, "{}")
	}
}

// hangUp ends the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func (c *fakeContainer) Addr() string                         { return c.listener.Addr().String() }
func (c *fakeContainer) Logs() (stdout, stderr io.ReadCloser) { return c.logs[0], c.logs[1] }
func (c *fakeContainer) Pause(context.Context) error          { return nil }
func (c *fakeContainer) Resume(context.Context) error         { return nil }
func (c *fakeContainer) Done() <-chan struct{}                { return c.done }

func (c *fakeContainer) Kill(context.Context) error {
	c.die()
	return nil
}

func (c *fakeContainer) die() {
	c.ending.Do(func() {
		c.server.Close()
		c.listener.Close()
		c.out[0].Close()
		c.out[1].Close()
		close(c.done)
	})
}
