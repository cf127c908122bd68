package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"
)

const (
	// followEvery is how often tokens.json is looked at. A change is to be known
	// within a second; a look is one system call.
	followEvery = 250 * time.Millisecond
	// usesEvery is how often it is written down which tokens are used, at most.
	usesEvery = 5 * time.Second
)

// Follow takes over what other processes change in tokens.json, and ends what goes on with
// tokens that have expired, until ctx ends. What cannot be read changes nothing, and is logged once.
func (t *Tokens) Follow(ctx context.Context, log *slog.Logger) {
	log = orDiscard(log)
	defer t.writeUses(log)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var written time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.lookAgain(log)
			t.endExpired(now, log)
			if now.Sub(written) >= usesEvery {
				t.writeUses(log)
				written = now
			}
		}
	}
}

// lookAgain reads tokens.json if it is another file than the one that was read last, or
// could not be read then.
func (t *Tokens) lookAgain(log *slog.Logger) {
	changed, failed := t.changed()
	if !changed && failed == nil {
		return
	}
	before := *t.known.Load()
	if err := t.reload(); err != nil {
		if changed || failed == nil || failed.Error() != err.Error() {
			log.Error("the tokens have changed and cannot be read; those from before stay good", "error", err)
		}
		return
	}
	log.Info("the tokens have changed", "before", len(before), "now", len(*t.known.Load()))
}

// changed reports whether tokens.json is another file than the one that was read last, and why that
// one could not be read.
func (t *Tokens) changed() (changed bool, failed error) {
	info, err := os.Stat(t.dir.hashes())
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isOther(info, err), t.failed
}

// isOther compares a look at tokens.json with the last one. mu is held.
func (t *Tokens) isOther(info fs.FileInfo, err error) bool {
	if err != nil || t.seen == nil {
		return (err == nil) != (t.seen != nil)
	}
	return !os.SameFile(info, t.seen) || !info.ModTime().Equal(t.seen.ModTime()) || info.Size() != t.seen.Size()
}

// reload takes over tokens.json. A token that is in it as before goes on; what goes on with
// one that is not is ended.
func (t *Tokens) reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen, _ = os.Stat(t.dir.hashes()) // before reading: a later change is then seen as one
	known, err := t.dir.read()
	if t.failed = err; err != nil {
		return err
	}
	var uses map[string]time.Time
	before := *t.known.Load()
	if len(before) == 0 {
		uses = t.dir.readUses()
	}
	now := make([]*liveToken, len(known))
	for i := range known {
		same := slices.IndexFunc(before, func(k *liveToken) bool { return k.same(&known[i]) })
		if same >= 0 {
			now[i] = before[same]
		} else {
			now[i] = newLiveToken(known[i], uses[known[i].ID])
		}
	}
	t.known.Store(&now)
	for _, k := range before {
		if !slices.Contains(now, k) {
			k.end()
		}
	}
	return nil
}

// endExpired ends what goes on with expired tokens. Authorize refuses them by itself.
func (t *Tokens) endExpired(now time.Time, log *slog.Logger) {
	for _, k := range *t.known.Load() {
		if k.Expired(now) && k.valid.Err() == nil {
			log.Info("a token has expired", "token", k.ID)
			k.end()
		}
	}
}

// writeUses writes down when tokens were last used, if that has changed.
func (t *Tokens) writeUses(log *slog.Logger) {
	if !t.unwritten.Swap(false) {
		return
	}
	if err := t.saveUses(); err != nil {
		log.Warn("cannot note when tokens were used", "error", err)
	}
}

func (t *Tokens) saveUses() error {
	uses := map[string]time.Time{}
	for _, k := range *t.known.Load() {
		if minute := k.used.Load(); minute > 0 {
			uses[k.ID] = time.Unix(60*minute, 0).UTC()
		}
	}
	text, err := json.Marshal(uses)
	if err != nil {
		return fmt.Errorf("writing when tokens were used: %w", err)
	}
	return writeSecret(t.dir.lastUses(), append(text, '\n'))
}
