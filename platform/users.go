package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Users manages who may use a platform, beside it: the platform may run or not. One that runs hears of each change
// within a second.
type Users struct {
	dir   string
	store store.Store
}

// heardWithin is how long a platform that runs may take to hear of a change.
const heardWithin = 1500 * time.Millisecond

// OpenUsers opens the users of the platform whose data directory is dir. database is the URL of its PostgreSQL
// database; empty: it keeps its data in the directory.
func OpenUsers(ctx context.Context, dir, database string) (*Users, error) {
	log := slog.New(slog.DiscardHandler)
	if database != "" {
		st, err := store.OpenPostgres(ctx, database, log)
		if err != nil {
			return nil, err
		}
		return &Users{dir, st}, nil
	}
	path := filepath.Join(dir, databaseFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no platform in %s: start it once with `whiskaway standalone`, or say with --data where it keeps its data, or with --store which database is its", dir)
	}
	st, err := store.OpenSQLite(ctx, path, log)
	if err != nil {
		return nil, err
	}
	return &Users{dir, st}, nil
}

// Close ends it.
func (u *Users) Close() error { return u.store.Close() }

// Create makes a key of a user for a namespace, by default for the one of the user's name. auth is the key to
// use, "uuid:key"; empty: a random one. It returns the key, which nobody can read again.
func (u *Users) Create(ctx context.Context, name, namespace, auth string) (store.Subject, string, error) {
	if namespace == "" {
		namespace = name
	}
	if err := controller.CheckSubject("user", name); err != nil {
		return store.Subject{}, "", err
	}
	if err := controller.CheckSubject("namespace", namespace); err != nil {
		return store.Subject{}, "", err
	}
	uuid, key, err := keyFrom(auth)
	if err != nil {
		return store.Subject{}, "", err
	}
	known, err := u.store.Subjects(ctx, name, "")
	if err != nil {
		return store.Subject{}, "", err
	}
	for _, s := range known {
		if s.Blocked {
			return store.Subject{}, "", fmt.Errorf("the user %s is blocked; unblock it first", name)
		}
		if s.Namespace == namespace {
			return store.Subject{}, "", fmt.Errorf("the user %s has a key for the namespace %s already; `whiskaway user key` makes a new one", name, namespace)
		}
	}
	sub := store.Subject{UUID: uuid, Name: name, Namespace: namespace, KeyHash: controller.HashKey(key), Created: time.Now().UnixMilli()}
	err = u.store.AddSubject(ctx, sub)
	if errors.Is(err, store.ErrConflict) {
		err = errors.New("a key with that UUID is there already, of somebody else or for another namespace; choose another")
	}
	return sub, uuid + ":" + key, err
}

// keyFrom returns the key that was given, or a new one.
func keyFrom(auth string) (uuid, key string, err error) {
	if auth == "" {
		uuid, key = controller.NewKey()
		return uuid, key, nil
	}
	return controller.ParseKey(auth)
}

// Get returns the keys of a user, without what is secret of them.
func (u *Users) Get(ctx context.Context, name string) ([]store.Subject, error) {
	list, err := u.store.Subjects(ctx, name, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no user %s", name)
	}
	return list, nil
}

// List returns all keys, or those for a namespace.
func (u *Users) List(ctx context.Context, namespace string) ([]store.Subject, error) {
	return u.store.Subjects(ctx, "", namespace)
}

// one returns a user's key for a namespace, by default for the only one.
func (u *Users) one(ctx context.Context, name, namespace string) (store.Subject, error) {
	list, err := u.Get(ctx, name)
	if err != nil {
		return store.Subject{}, err
	}
	if namespace == "" && len(list) > 1 {
		return store.Subject{}, fmt.Errorf("the user %s has keys for several namespaces (%s); say with --namespace which is meant", name, namespaces(list))
	}
	for _, s := range list {
		if namespace == "" || s.Namespace == namespace {
			return s, nil
		}
	}
	return store.Subject{}, fmt.Errorf("the user %s has no key for the namespace %s, only for %s", name, namespace, namespaces(list))
}

func namespaces(list []store.Subject) string {
	var all []string
	for _, s := range list {
		all = append(all, s.Namespace)
	}
	return strings.Join(all, ", ")
}

// NewKey replaces a user's key for a namespace, by default for the only one. The old one is worth nothing any more. Where
// it was the one in the data directory's wskprops, the new one is written there. auth is as for Create.
func (u *Users) NewKey(ctx context.Context, name, namespace, auth string) (store.Subject, string, error) {
	old, err := u.one(ctx, name, namespace)
	if err != nil {
		return store.Subject{}, "", err
	}
	uuid, key, err := keyFrom(auth)
	if err != nil {
		return store.Subject{}, "", err
	}
	if auth == "" {
		uuid = old.UUID
	}
	sub := old
	sub.UUID, sub.KeyHash = uuid, controller.HashKey(key)
	err = u.store.SetSubject(ctx, sub)
	if errors.Is(err, store.ErrConflict) {
		err = errors.New("a key with that UUID is there already, of somebody else or for another namespace; choose another")
	}
	if err != nil {
		return store.Subject{}, "", err
	}
	return sub, uuid + ":" + key, u.renewProps(old.UUID, uuid+":"+key)
}

// renewProps writes a key to wskprops where the old one is there.
func (u *Users) renewProps(oldUUID, auth string) error {
	p, err := readProps(filepath.Join(u.dir, propsFile))
	if err != nil || !strings.HasPrefix(p.auth, oldUUID+":") {
		return err
	}
	p.auth = auth
	return p.write()
}

// Block blocks users, or unblocks them. It tells of all that could not be done.
func (u *Users) Block(ctx context.Context, names []string, blocked bool) error {
	var errs []error
	for _, name := range names {
		err := u.store.BlockSubjects(ctx, name, blocked)
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("there is no user %s", name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Delete removes a user's keys, or the one for a namespace. A namespace for which nobody has a key then must be empty,
// unless force is set: then all that is in it goes too, activations included. It returns the keys that were removed.
func (u *Users) Delete(ctx context.Context, name, namespace string, force bool) ([]store.Subject, error) {
	list, err := u.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if namespace != "" {
		one, err := u.one(ctx, name, namespace)
		if err != nil {
			return nil, err
		}
		list = []store.Subject{one}
	}
	orphans, full, err := u.orphans(ctx, list)
	if err != nil {
		return nil, err
	}
	if len(full) > 0 && !force {
		return nil, fmt.Errorf("%s; delete that first, or all of it with --force", strings.Join(full, "; "))
	}
	for _, s := range list {
		if err := u.store.RemoveSubject(ctx, s.UUID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return list, u.clear(ctx, orphans)
}

// orphans returns the namespaces for which nobody has a key without these, and what those hold, in words.
func (u *Users) orphans(ctx context.Context, without []store.Subject) (names, full []string, err error) {
	for _, s := range without {
		others, err := u.store.Subjects(ctx, "", s.Namespace)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(others, func(o store.Subject) bool { return o.UUID != s.UUID }) {
			continue
		}
		h, err := u.store.Holding(ctx, s.Namespace)
		if err != nil {
			return nil, nil, err
		}
		names = append(names, s.Namespace)
		if words := holdingWords(h); words != "" {
			full = append(full, fmt.Sprintf("nobody else has a key for the namespace %s, which has %s", s.Namespace, words))
		}
	}
	return names, full, nil
}

// clear removes what is in namespaces that nobody has a key for. It waits until a platform that runs has heard that
// the keys are gone: only then nothing more is made there, for whoever gets the name next.
func (u *Users) clear(ctx context.Context, namespaces []string) error {
	if len(namespaces) == 0 {
		return nil
	}
	select {
	case <-time.After(heardWithin):
	case <-ctx.Done():
		return fmt.Errorf("the keys are gone, but what is in the namespaces is still there: %w", ctx.Err())
	}
	for _, namespace := range namespaces {
		if err := u.store.ClearNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

func holdingWords(h store.Holding) string {
	var words []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			words = append(words, "1 "+one)
		case n > 1:
			words = append(words, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(h.Entities[store.Actions], "action", "actions")
	add(h.Entities[store.Packages], "package", "packages")
	add(h.Entities[store.Triggers], "trigger", "triggers")
	add(h.Entities[store.Rules], "rule", "rules")
	add(h.Activations, "activation", "activations")
	return strings.Join(words, ", ")
}

// Limits returns the limits that a namespace has of its own.
func (u *Users) Limits(ctx context.Context, namespace string) (store.NamespaceLimits, error) {
	if err := u.known(ctx, namespace); err != nil {
		return store.NamespaceLimits{}, err
	}
	return u.store.NamespaceLimits(ctx, namespace)
}

// SetLimits replaces them.
func (u *Users) SetLimits(ctx context.Context, namespace string, l store.NamespaceLimits) error {
	if err := u.known(ctx, namespace); err != nil {
		return err
	}
	return u.store.SetNamespaceLimits(ctx, namespace, l)
}

// known is an error where nobody has a key for the namespace.
func (u *Users) known(ctx context.Context, namespace string) error {
	list, err := u.store.Subjects(ctx, "", namespace)
	if err == nil && len(list) == 0 {
		return fmt.Errorf("nobody has a key for a namespace %s; `whiskaway user list` shows which there are", namespace)
	}
	return err
}
