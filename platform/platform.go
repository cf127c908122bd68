package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/whiskaway/whiskaway/platform/api"
	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Platform is a running platform.
type Platform struct {
	cfg        Config
	props      props
	store      store.Store
	runs       *bus.Memory[*bus.Run]
	completed  *bus.Memory[*bus.Completed]
	codec      bus.Codec[*bus.Run]
	controller *controller.Controller
	invoker    *invoker.Invoker
	handler    http.Handler
	failed     chan error // cap 1: see Failed

	ending    context.Context // ends when Close begins
	end       context.CancelFunc
	requeuing sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// controllerName is the one controller's; with several, each has its own.
const controllerName = "controller0"

// Open starts a platform on the state in cfg.Dir. At the first start, and when
// the file wskprops is missing, it makes a new API key.
func Open(ctx context.Context, cfg Config) (*Platform, error) {
	cfg = cfg.withDefaults()
	if cfg.Driver == nil {
		return nil, errors.New("the platform needs a driver that starts runtimes")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the platform's directory: %w", err)
	}
	p := &Platform{
		cfg: cfg, failed: make(chan error, 1),
		runs:      bus.NewMemory[*bus.Run](cfg.Queue),
		completed: bus.NewMemory[*bus.Completed](bus.Bounds{Messages: cfg.Queue.Messages, Bytes: 1 << 30}),
	}
	if err := p.openStore(ctx); err != nil {
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	return p, nil
}

func (p *Platform) start(ctx context.Context) (err error) {
	if p.props, err = loadKey(ctx, p.cfg, p.store); err != nil {
		return err
	}
	secret, err := loadSecret(p.cfg.Dir)
	if err != nil {
		return err
	}
	if p.codec, err = bus.NewRunCodec(secret); err != nil {
		return err
	}
	p.ending, p.end = context.WithCancel(context.Background())
	cfg, log := p.cfg, p.cfg.Log
	p.controller, err = controller.New(controller.Config{Name: controllerName, Limits: cfg.Limits, Kinds: cfg.Kinds, Codec: p.codec},
		p.store, p.runs, p.completed, log)
	if err != nil {
		return fmt.Errorf("starting the controller: %w", err)
	}
	replies := func(string) bus.Topic[*bus.Completed] { return p.completed }
	p.invoker, err = invoker.New(cfg.Invoker, cfg.Driver, p.store, p.runs, replies, log)
	if err != nil {
		return errors.Join(fmt.Errorf("starting the invoker: %w", err), p.controller.Close(nil))
	}
	p.handler = api.New(p.controller, cfg.Build, log)
	if err := p.recover(ctx); err != nil {
		return errors.Join(err, p.close(ctx))
	}
	return nil
}

// Handler returns the API, from the root on.
func (p *Platform) Handler() http.Handler { return p.handler }

// WriteProps writes the file wskprops for clients that reach the API at apihost,
// "http://127.0.0.1:3233". It returns the file's path.
func (p *Platform) WriteProps(apihost string) (string, error) {
	p.props.apihost = apihost
	return p.props.path, p.props.write()
}

// Containers returns how many containers are idle and busy just now.
func (p *Platform) Containers() (idle, busy int) { return p.invoker.Containers() }

// Close takes no new invocations, waits for the callers who wait for the end of one, and for
// what else runs until cfg.LastRuns is over, but for all of it only until ctx ends. It cancels the rest, writes
// their records, and leaves no process. What was accepted and never sent stays in the journal, and runs after
// the next start. Nobody may call the handler any more when Close returns; who waits for a
// run gets the answer before.
func (p *Platform) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closeErr = p.close(ctx) })
	return p.closeErr
}

func (p *Platform) close(ctx context.Context) error {
	last, cancel := context.WithTimeout(ctx, p.cfg.LastRuns)
	defer cancel()
	p.end()
	p.requeuing.Wait()
	p.invoker.Leave()
	if n := p.controller.Callers(); n > 0 {
		p.cfg.Log.Info("stopping when all callers are answered who wait for an activation", "callers", n)
	}
	p.controller.Drain(ctx)
	var errs []error
	for _, m := range p.runs.Close() {
		if !m.Body.Journaled && !m.Body.Sending.Journaled() {
			errs = append(errs, p.invoker.Abandon(m.Body, msgStopped))
		}
	}
	errs = append(errs, p.invoker.Close(last))
	unheard := p.completed.Close()
	errs = append(errs, p.controller.Close(unheard), p.store.Close())
	return errors.Join(errs...)
}

// msgStopped is in the record of a run that somebody waited for longer than a stop does.
const msgStopped = "The platform was stopped before the action could run."
