package controller

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// runKeyUUID is the first half of every run key. It is no subject's.
const runKeyUUID = "72756e2d-6b65-4079-8000-000000000001"

// runKeyGrace is how much longer than its run's time limit a run key is good: the run
// may have waited for its container.
const runKeyGrace = 10 * time.Minute

// runKeys makes API keys for runs that nobody's key came with: those that an alarm
// fires, web actions, runs that go on after a restart. Subjects' keys are kept as
// hashes only, so that they cannot be given to such a run. A run key stands for a
// subject and a namespace until a moment soon after the run, as long as the subject has the key that it had
// when the run began: who replaces a key, or removes the subject, ends them too. It is signed (HMAC-SHA-256) and not stored.
type runKeys struct{ secret []byte }

// A runKey is what a run key says.
type runKey struct {
	Subject   string `json:"s"`
	Namespace string `json:"n"`
	Until     int64  `json:"u"` // seconds since 1970
	Of        string `json:"k"` // keyMark of the subject's key
}

// keyMark tells a subject's keys apart, and nothing else of them.
func keyMark(sub store.Subject) string {
	sum := sha256.Sum256(append([]byte(sub.UUID+":"), sub.KeyHash...))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// mint returns a key, "uuid:key", that stands for id until then, or until its subject has no more the key of that mark.
func (k runKeys) mint(id Identity, of string, until time.Time) (string, error) {
	claims, err := store.Encode(runKey{id.Subject, id.Namespace, until.Unix(), of})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(claims)
	return runKeyUUID + ":" + text + "." + k.sign(text), nil
}

func (k runKeys) sign(text string) string {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// identity returns whom a run key stands for, and the mark of the key that the subject must have; false: it
// is not a good one.
func (k runKeys) identity(key string, now time.Time) (id Identity, of string, ok bool) {
	text, signature, ok := strings.Cut(key, ".")
	if !ok || !hmac.Equal([]byte(signature), []byte(k.sign(text))) {
		return Identity{}, "", false
	}
	claims, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Identity{}, "", false
	}
	var said runKey
	if err := json.Unmarshal(claims, &said); err != nil || now.Unix() > said.Until {
		return Identity{}, "", false
	}
	return Identity{Subject: said.Subject, Namespace: said.Namespace, Key: runKeyUUID + ":" + key}, said.Of, true
}

// keyFor returns the API key that a run of by's is given.
func (c *Controller) keyFor(ctx context.Context, by Identity, limit time.Duration) (string, error) {
	if by.Key != "" && !isRunKey(by.Key) { // that of another run may end before this one
		return by.Key, nil
	}
	sub, err := c.actor(ctx, by.Subject, by.Namespace)
	if err != nil {
		return "", err
	}
	return c.runKeys.mint(by, keyMark(sub), time.Now().Add(limit+runKeyGrace))
}

func isRunKey(key string) bool { return strings.HasPrefix(key, runKeyUUID+":") }

// RenewKey gives a run that goes on after a restart a new run key in place of its old one, if it has one.
func (c *Controller) RenewKey(ctx context.Context, run *bus.Run) (err error) {
	if !isRunKey(run.APIKey) {
		return nil
	}
	by := Identity{Subject: run.Subject, Namespace: run.Namespace}
	run.APIKey, err = c.keyFor(ctx, by, time.Duration(run.Action.Limits.Timeout)*time.Millisecond)
	return err
}
