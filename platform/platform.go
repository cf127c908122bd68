package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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
	controller *controller.Controller
	invoker    *invoker.Invoker
	handler    http.Handler

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
	st, err := store.OpenSQLite(ctx, filepath.Join(cfg.Dir, "platform.db"), cfg.Log)
	if err != nil {
		return nil, err
	}
	p := &Platform{
		cfg: cfg, store: st,
		runs:      bus.NewMemory[*bus.Run](cfg.Queue),
		completed: bus.NewMemory[*bus.Completed](bus.Bounds{Messages: cfg.Queue.Messages, Bytes: 1 << 30}),
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return p, nil
}

func (p *Platform) start(ctx context.Context) (err error) {
	if err := resolvePrewarm(p.cfg.Invoker.Prewarm, p.cfg.Kinds); err != nil {
		return err
	}
	if p.props, err = loadKey(ctx, p.cfg, p.store); err != nil {
		return err
	}
	cfg, log := p.cfg, p.cfg.Log
	p.controller, err = controller.New(controller.Config{
		Name: controllerName, Limits: cfg.Limits, Kinds: cfg.Kinds, Blackbox: cfg.Blackbox, Changed: p.changed},
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
	return nil
}

// changed lets the containers of an action's older revisions go.
func (p *Platform) changed(action string, revision int64) { p.invoker.Retire(action, revision) }

// Handler returns the API, from the root on.
func (p *Platform) Handler() http.Handler { return p.handler }

// WriteProps writes the file wskprops for clients that reach the API at apihost,
// "http://127.0.0.1:3233". It returns the file's path.
func (p *Platform) WriteProps(apihost string) (string, error) {
	p.props.apihost = apihost
	return p.props.path, p.props.write()
}

// Status returns what the invoker has just now, and how many runs wait for it.
func (p *Platform) Status() invoker.Status {
	s := p.invoker.Status()
	s.Waiting += p.runs.Len()
	return s
}

// Close stops taking runs, waits for those in flight until ctx ends, cancels the
// rest, writes their records, and leaves no process. What was accepted and never
// started gets a record that says so. Nobody may call the handler any more
// when it returns; blocking calls that are in flight get their answer before.
func (p *Platform) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closeErr = p.close(ctx) })
	return p.closeErr
}

func (p *Platform) close(ctx context.Context) error {
	var errs []error
	for _, m := range p.runs.Close() { // first, so that who comes now is told at once
		errs = append(errs, p.invoker.Abandon(m.Body))
	}
	errs = append(errs, p.invoker.Close(ctx))
	unheard := p.completed.Close()
	errs = append(errs, p.controller.Close(unheard), p.store.Close())
	return errors.Join(errs...)
}
