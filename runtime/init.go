package runtime

import (
	"cmp"
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
	r.agreeOnLogs(w, req)
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
	spec.APIHost, spec.Code, spec.Binary = r.cfg.APIHost, code.Digest, value.Binary
	if target != nil {
		spec.Kind, spec.Require = cmp.Or(target.Kind, r.cfg.Kind), target.Require
	} else {
		spec.Kind, spec.Require.Concurrency = cmp.Or(r.cfg.LocalKind, r.cfg.Kind), r.cfg.LocalConcurrency
	}
	if spec.Kind == "" {
		return nil, function.Errorf(function.CodeBadRequest,
			"This runtime does not know the function's kind: set WHISKAWAY_KIND, or write it into main, as in main@gpu?kind=python:3.")
	}
	if err := spec.Check(); err != nil {
		return nil, err
	}
	host, err := r.hostFor(ctx, target, env)
	if err != nil {
		return nil, err
	}
	lease := function.Lease{ID: function.NewLeaseID(), TTL: r.cfg.LeaseTTL}
	return &bound{host: host, spec: spec, lease: lease, code: code, log: r.cfg.Log, patience: r.cfg.HostPatience, life: r.life}, nil
}

// hostFor returns the host for target, which is nil for this machine. env is the init environment.
func (r *Runtime) hostFor(ctx context.Context, target *function.Target, env map[string]string) (function.Host, error) {
	if target != nil {
		if r.cfg.Remote == nil {
			return nil, function.Errorf(function.CodeBadRequest, "This runtime cannot run functions elsewhere; leave out the @ in main.")
		}
		return r.cfg.Remote(ctx, target)
	}
	if r.cfg.Local == nil {
		return nil, function.Errorf(function.CodeBadRequest, "This runtime runs no functions itself; say where in main, as in main@gpu.")
	}
	return r.cfg.Local(ctx, platformEnv(env))
}

// platformEnv is the part of an init environment that is the platform's.
func platformEnv(env map[string]string) map[string]string {
	platform := map[string]string{}
	for name, value := range env {
		if strings.HasPrefix(name, platformPrefix) {
			platform[name] = value
		}
	}
	return platform
}

// platformPrefix begins the names of the platform's own variables.
const platformPrefix = "__OW_"

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
		if strings.HasPrefix(name, platformPrefix) {
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
	text := r.initText(e)
	out := r.takeOutput()
	out.logs.write(stderr, []byte(e.Logs))
	if r.cfg.LogInitErrors && e.Code == function.CodeInitFailed {
		out.logs.write(stderr, []byte(onNewLine(e.Logs, text)))
		text = loggedText(e)
	}
	out.logs.finish()
	r.giveOutput(out)
	r.cfg.Log.Info("init failed", "code", e.Code)
	answerError(w, initStatus(err), text)
}

// onNewLine is text as a line of its own behind logs.
func onNewLine(logs, text string) string {
	if logs != "" && !strings.HasSuffix(logs, "\n") {
		return "\n" + text
	}
	return text
}

// loggedText has the Go action proxy's words for what the logs explain.
func loggedText(e *function.Error) string {
	if e.Unbuilt {
		return "The action failed to generate or locate a binary. See logs for details."
	}
	return "Cannot start action. Check logs for details."
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

func (r *Runtime) initText(e *function.Error) string {
	switch e.Code {
	case function.CodeTimeout:
		text := "The function was not ready when its time limit was over; its start may go on, so the next invocation may find it ready."
		if r.cfg.LocalAck {
			text += ` An executable is ready when it has written the line {"ok":true} to file descriptor 3.`
		}
		return text
	case function.CodeNoCapacity, function.CodeBusy, function.CodeDraining, function.CodeUnreachable:
		return fmt.Sprintf("The function could not be started: %s", e.Message)
	}
	return e.Message
}
