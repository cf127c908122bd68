package openserverless

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/initbody"
)

// serveInit makes a function ready, and grants its client a session.
func (f *Face) serveInit(r *http.Request) ([]byte, error) {
	value, code, err := initbody.Read(r.Body, f.codeDir())
	if err != nil {
		return nil, err
	}
	defer code.Remove()
	s, spec, deadline, err := f.describe(value, code.Digest)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if left := timeLeft(deadline, time.Now()); left > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	if err := f.start(ctx, s, spec, code); err != nil {
		return nil, initRefusal(err)
	}
	return okAnswer, nil
}

// describe returns the session that an /init asks for, and its function.
func (f *Face) describe(value initbody.Value, code function.Digest) (s *session, spec function.Spec, deadline string, err error) {
	env := value.Environ()
	s = &session{hash: env["__OW_CODE_HASH"], lease: function.NewLeaseID()}
	if json.Unmarshal(value.ProxiedActionID, &s.actionID) != nil || s.actionID == "" {
		return nil, spec, "", refuse(http.StatusBadRequest, "Missing action id from client: the field proxiedActionID must be a text that names it.")
	}
	if err := checkNames(s.actionID, s.hash); err != nil {
		return nil, spec, "", err
	}
	if s.fields, err = fieldsOf(env); err != nil {
		return nil, spec, "", err
	}
	spec = function.Spec{
		Namespace: f.cfg.Namespace, Action: actionOf(env, value.Name), Kind: f.cfg.Kind, Code: code, Binary: value.Binary,
		Env: ownEnv(env), APIHost: env["__OW_API_HOST"],
	}
	if err := readMain(&spec, value.Main); err != nil {
		return nil, spec, "", err
	}
	s.id = spec.ID()
	return s, spec, env["__OW_DEADLINE"], spec.Check()
}

// actionOf is the namespace that calls the action, and the action's name, "guest/hello": our
// namespace is the same for all, and theirs must not share anything either. An action that belongs to
// another namespace than the one that calls it is "guest//owner/hello".
func actionOf(env map[string]string, name string) string {
	action := cmp.Or(env["__OW_ACTION_NAME"], name, "action")
	namespace := env["__OW_NAMESPACE"]
	full, isFull := strings.CutPrefix(action, "/")
	switch {
	case namespace == "" || strings.HasPrefix(full, namespace+"/") && isFull:
		return full
	case isFull:
		return namespace + "//" + full
	}
	return namespace + "/" + action
}

// ownEnv returns the function's own part of an /init's environment.
func ownEnv(env map[string]string) map[string]string {
	var own map[string]string
	for name, value := range env {
		if strings.HasPrefix(name, "__OW_") {
			continue
		}
		if own == nil {
			own = map[string]string{}
		}
		own[name] = value
	}
	return own
}

// readMain takes the function's name from main, and what else it says behind an
// "&": main&kind=nodejs:20&memory=2g. Their client has cut off what follows an "@".
func readMain(spec *function.Spec, main string) error {
	if strings.Contains(main, "@") {
		return refuse(http.StatusBadRequest, "The main of an action that is here already must not name a place by an @.")
	}
	name, terms, found := strings.Cut(main, "&")
	spec.Main = name
	if name == "" {
		spec.Main = "main"
	}
	if !found {
		return nil
	}
	_, target, err := function.ParseMain("@" + terms)
	if err != nil {
		return err
	}
	if target.Host != "" {
		return refuse(http.StatusBadRequest, "What follows the & in main is a label or a need, as in main&memory=2g, not a host.")
	}
	spec.Require = target.Require
	if target.Kind != "" {
		spec.Kind = target.Kind
	}
	return nil
}

// start makes the Host ready, and remembers the session.
func (f *Face) start(ctx context.Context, s *session, spec function.Spec, code *initbody.Code) error {
	if known := f.sessions.of(s.actionID); known != nil {
		if !known.same(s) {
			return errTaken
		}
		s.lease = known.lease
	}
	if _, err := function.InitWithCode(ctx, f.cfg.Host, spec, f.leaseOf(s), code.Open); err != nil {
		return err
	}
	kept, err := f.sessions.add(s, spec)
	if err != nil || kept.lease != s.lease { // another /init of this client was quicker
		f.release(ctx, s)
	}
	return err
}

// release ends the lease of a session at the Host. What fails there ends with the
// lease's time.
func (f *Face) release(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hostPatience)
	defer cancel()
	if err := f.cfg.Host.Stop(ctx, s.id, f.claim(s)); err != nil {
		f.cfg.Log.Warn("a client's lease could not be ended", "error", err)
	}
}

// hostPatience bounds the small calls of the Host.
const hostPatience = 5 * time.Second

// initRefusal adds what the function printed: their client has no other way for it.
func initRefusal(err error) error {
	e := function.AsError(err)
	switch {
	case e.Code == function.CodeTimeout:
		return refuse(http.StatusBadGateway, "The function was not ready when its time limit was over; its start may go on, so the next invocation may find it ready.")
	case e.Logs != "":
		r := refusalOf(err)
		return refuse(r.status, "%s%s", r.text, quoteLogs("logs", []byte(e.Logs)))
	}
	return err
}

// timeLeft returns how long it is from now to a deadline, the digits of epoch
// milliseconds. None, or one that is past already, is 0.
func timeLeft(deadline string, now time.Time) time.Duration {
	ms, err := strconv.ParseInt(deadline, 10, 64)
	if err != nil || ms <= 0 {
		return 0
	}
	return max(time.UnixMilli(ms).Sub(now), 0)
}
