package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/initbody"
)

// serveInit answers /init. Inits wait for each other; after one that succeeded
// all others are refused. One that failed may be tried again.
func (r *Runtime) serveInit(w http.ResponseWriter, req *http.Request, start time.Time) {
	r.slot <- struct{}{}
	defer func() { <-r.slot }()
	switch {
	case r.closed:
		answerError(w, http.StatusBadGateway, "The runtime is about to end.")
		return
	case r.function.Load() != nil:
		answerError(w, http.StatusForbidden, "Cannot initialize the action more than once.")
		return
	}
	err := r.init(req)
	setInitTime(w.Header(), time.Since(start))
	if err != nil {
		r.refuseInit(w, err)
		return
	}
	send(w, answer{http.StatusOK, []byte(okAnswer)})
}

// init reads the body and makes the function ready.
func (r *Runtime) init(req *http.Request) error {
	value, code, err := initbody.Read(req.Body, r.cfg.Dir)
	if err != nil {
		return err
	}
	env := value.Environ()
	ctx, cancel := r.initContext(req.Context(), env["__OW_DEADLINE"])
	defer cancel()
	fn, err := r.bind(ctx, value, env, code)
	if err == nil {
		err = fn.init(ctx)
	}
	if err != nil {
		code.Remove()
		return err
	}
	fn.beats()
	r.function.Store(fn)
	fn.background.Go(fn.keepLease)
	return nil
}

// initContext ends with the request, with the time limit, and when the runtime ends.
func (r *Runtime) initContext(ctx context.Context, deadline string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(r.life, cancel)
	release := func() { detach(); cancel() }
	ms, err := strconv.ParseInt(deadline, 10, 64)
	if err != nil {
		return ctx, release
	}
	left := timeLeft(ms, time.Now())
	if left == 0 {
		return ctx, release
	}
	ctx, cancelTimer := context.WithTimeout(ctx, left)
	return ctx, func() { cancelTimer(); release() }
}

// bind chooses the host for the function, and describes it.
func (r *Runtime) bind(ctx context.Context, value initbody.Value, env map[string]string, code *initbody.Code) (*bound, error) {
	main, target, err := function.ParseMain(value.Main)
	if err != nil {
		return nil, err
	}
	spec := newSpec(value.Name, main, env)
	spec.Kind, spec.APIHost = r.cfg.Kind, r.cfg.APIHost
	spec.Code, spec.Binary = code.Digest, value.Binary
	if target != nil {
		spec.Require = target.Require
		if target.Kind != "" {
			spec.Kind = target.Kind
		}
	}
	if spec.Kind == "" {
		return nil, function.Errorf(function.CodeBadRequest,
			"This runtime does not know the function's kind: set WHISKAWAY_KIND, or write it into main, as in main@gpu&kind=python:3.")
	}
	if err := spec.Check(); err != nil {
		return nil, err
	}
	host, err := r.hostFor(ctx, target)
	if err != nil {
		return nil, err
	}
	lease := function.Lease{ID: function.NewLeaseID(), TTL: r.cfg.LeaseTTL}
	return &bound{host: host, spec: spec, lease: lease, code: code, log: r.cfg.Log, patience: r.cfg.HostPatience, life: r.life}, nil
}

// hostFor returns the host for target, which is nil for this machine.
func (r *Runtime) hostFor(ctx context.Context, target *function.Target) (function.Host, error) {
	if target != nil {
		if r.cfg.Remote == nil {
			return nil, function.Errorf(function.CodeBadRequest, "This runtime cannot run functions elsewhere; leave out the @ in main.")
		}
		return r.cfg.Remote(ctx, target)
	}
	if r.cfg.Local == nil {
		return nil, function.Errorf(function.CodeBadRequest, "This runtime runs no functions itself; say where in main, as in main@gpu.")
	}
	if r.local == nil {
		host, err := r.cfg.Local(ctx)
		if err != nil {
			return nil, err
		}
		r.local = host
	}
	return r.local, nil
}

// newSpec takes from the platform's init environment what it says about the
// function's identity. The rest of it without __OW_ names is the function's own.
func newSpec(name, main string, env map[string]string) function.Spec {
	spec := function.Spec{Namespace: env["__OW_NAMESPACE"], Action: env["__OW_ACTION_NAME"], Main: main}
	if spec.Namespace == "" {
		spec.Namespace = "default"
	}
	if spec.Action == "" {
		spec.Action = name
	}
	if rest, found := strings.CutPrefix(spec.Action, "/"); found {
		_, spec.Action, _ = strings.Cut(rest, "/")
	}
	if spec.Action == "" {
		spec.Action = "action"
	}
	for name, value := range env {
		if strings.HasPrefix(name, "__OW_") {
			continue
		}
		if spec.Env == nil {
			spec.Env = make(map[string]string)
		}
		spec.Env[name] = value
	}
	return spec
}

// refuseInit answers a failed init, and ends its logs. It is never a 503: older
// invokers lose the activation then.
func (r *Runtime) refuseInit(w http.ResponseWriter, err error) {
	e := function.AsError(err)
	out := r.takeOutput()
	out.logs.write(stderr, []byte(e.Logs))
	out.logs.finish()
	r.giveOutput(out)
	r.cfg.Log.Info("init failed", "code", e.Code)
	answerError(w, initStatus(err), initText(e))
}

// initStatus distinguishes for people; the platform takes all of them alike.
func initStatus(err error) int {
	switch {
	case errors.Is(err, initbody.ErrNoCode):
		return http.StatusForbidden
	case function.CodeOf(err) == function.CodeBadRequest:
		return http.StatusBadRequest
	case function.CodeOf(err) == function.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadGateway
}

func initText(e *function.Error) string {
	switch e.Code {
	case function.CodeTimeout:
		return "The function was not ready when its time limit was over; its start may go on, so the next invocation may find it ready."
	case function.CodeNoCapacity, function.CodeBusy, function.CodeDraining, function.CodeUnreachable:
		return fmt.Sprintf("The function could not be started: %s", e.Message)
	}
	return e.Message
}
