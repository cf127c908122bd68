package openserverless

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// sessionFiles is a directory with a file for each session, so that no client
// notices that the server was restarted. Only this user may read them: they hold
// the functions' environments.
type sessionFiles struct {
	dir string
	log *slog.Logger
}

const sessionSuffix = ".json"

func (f sessionFiles) path(actionID string) string {
	sum := sha256.Sum256([]byte(actionID))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:])+sessionSuffix)
}

// save writes the session's file, whole or not at all, and returns its size.
func (f sessionFiles) save(s *session, spec function.Spec) (int64, error) {
	text, err := json.Marshal(s.record(spec))
	if err != nil {
		return 0, fmt.Errorf("writing down a client's session: %w", err)
	}
	temp, err := os.CreateTemp(f.dir, "new-") // mode 0600
	if err != nil {
		return 0, fmt.Errorf("writing down a client's session: %w", err)
	}
	defer os.Remove(temp.Name()) // fails once the file has its name, as it should
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.path(s.actionID))
	}
	if err != nil {
		return 0, fmt.Errorf("writing down a client's session: %w", err)
	}
	return int64(len(text)), nil
}

// spec reads the Spec of a session.
func (f sessionFiles) spec(s *session) (function.Spec, error) {
	r, _, err := readRecord(f.path(s.actionID))
	if err == nil && r.Spec.ID() != s.id {
		err = errors.New("it is another function's")
	}
	if err != nil {
		return function.Spec{}, fmt.Errorf("reading a client's session: %w", err)
	}
	return r.Spec, nil
}

func readRecord(path string) (r record, size int64, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, int64(len(text)), err
}

// remove deletes the session's file; that it is gone already is no error.
func (f sessionFiles) remove(actionID string) error {
	if err := os.Remove(f.path(actionID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a client's session: %w", err)
	}
	return nil
}

// load makes the directory, and reads the sessions of namespace. All other files
// are removed: of another namespace's listener, damaged, or half written.
func (f sessionFiles) load(namespace string) ([]*session, error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of sessions: %w", err)
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the directory of sessions: %w", err)
	}
	var all []*session
	for _, e := range entries {
		path := filepath.Join(f.dir, e.Name())
		s, err := f.loadOne(path, namespace)
		if err == nil {
			all = append(all, s)
			continue
		}
		f.log.Info("a client's session is not taken over; its client must initialize again", "file", e.Name(), "why", err)
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing a client's session: %w", err)
		}
	}
	return all, nil
}

func (f sessionFiles) loadOne(path, namespace string) (*session, error) {
	if !strings.HasSuffix(path, sessionSuffix) {
		return nil, errors.New("it was not written to its end")
	}
	r, size, err := readRecord(path)
	if err != nil {
		return nil, errors.New("it is damaged") // what encoding/json says may quote it
	}
	if r.Spec.Namespace != namespace {
		return nil, errors.New("it is of another namespace")
	}
	if err := r.Spec.Check(); err != nil || f.path(r.ActionID) != path {
		return nil, errors.New("it is damaged")
	}
	s, err := r.session()
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	s.bytes = size
	return s, nil
}
