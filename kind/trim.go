package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hold keeps TrimEnvs, of this server and of others, from removing an
// environment while a function uses it: see Command.EnvDir. The error says that it has
// been removed; the function must then be prepared again.
func Hold(ctx context.Context, envDir string) (release func(), err error) {
	release, err = hold(ctx, envDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the environment %s has been removed: prepare the function again", filepath.Base(envDir))
	}
	return release, err
}

func hold(ctx context.Context, env string) (release func(), err error) {
	if !exists(filepath.Join(env, complete)) { // leave no lock file where nothing is
		return nil, fs.ErrNotExist
	}
	unlock, err := lockFile(ctx, lockOf(env), shared)
	if err != nil {
		return nil, err
	}
	if err := touch(env); err != nil {
		unlock()
		return nil, err
	}
	return func() {
		touch(env) // it is there: nobody removes what is held
		unlock()
	}, nil
}

// minUnused is how long an environment stays after its last use in any case: between
// Prepare and Hold nobody holds it.
const minUnused = time.Minute

// TrimEnvs removes the least recently used environments, until those that are
// left take at most maxBytes. What somebody holds stays; what a build left that was cut
// off goes. It returns how many bytes it removed.
func TrimEnvs(dir string, maxBytes int64) (freed int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking at the environments: %w", err)
	}
	var all []built
	var sum int64
	var errs []error
	for _, e := range entries {
		if !ofOurs.MatchString(e.Name()) {
			continue // not a directory of environments alone: leave what is not ours
		}
		env := strings.TrimSuffix(filepath.Join(dir, e.Name()), ".lock")
		b, err := stateOf(env)
		switch {
		case err != nil: // half-built, or only its lock file is left
			n, err := remove(env, func() bool { _, err := stateOf(env); return err != nil })
			freed += n
			errs = append(errs, err)
		case e.IsDir():
			all = append(all, b)
			sum += b.size
		}
	}
	slices.SortFunc(all, func(a, b built) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.env, b.env)) })
	for _, b := range all {
		if sum <= maxBytes {
			break
		}
		if !b.unused() {
			continue // locking it now could only disturb others
		}
		n, err := remove(b.env, func() bool { b, err := stateOf(b.env); return err == nil && b.unused() })
		freed += n
		sum -= n
		errs = append(errs, err)
	}
	return freed, errors.Join(errs...)
}

// ofOurs matches the names of environments and of what belongs to them.
var ofOurs = regexp.MustCompile(`^(python|node|go|gocache|compiled)-[0-9a-f]{8,}`)

// A built environment is complete.
type built struct {
	env  string
	size int64
	used time.Time
}

func (b built) unused() bool { return time.Since(b.used) >= minUnused }

func stateOf(env string) (built, error) {
	info, err := os.Stat(filepath.Join(env, complete))
	if err != nil {
		return built{}, err
	}
	text, err := os.ReadFile(filepath.Join(env, complete))
	if err != nil {
		return built{}, err
	}
	size, err := strconv.ParseInt(string(text), 10, 64)
	return built{env, size, info.ModTime()}, err
}

// remove removes an environment that nobody holds, if it is still right to do so.
func remove(env string, still func() bool) (freed int64, err error) {
	unlock, err := tryLock(lockOf(env), exclusive)
	if errors.Is(err, errLocked) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer unlock()
	if !still() {
		return 0, nil
	}
	size := treeSize(env)
	// The mark goes first: if we are killed meanwhile, what is left is half-built.
	os.Chmod(env, 0o755)
	err = os.Remove(filepath.Join(env, complete))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = removeAll(env)
	}
	if err != nil {
		return 0, fmt.Errorf("removing an environment: %w", err)
	}
	return size, os.Remove(lockOf(env))
}
