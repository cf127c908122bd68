package platform

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// propsFile is the name of the file that wsk reads, in the data directory.
const propsFile = "wskprops"

// defaultAPIHost is written until WriteProps says better.
const defaultAPIHost = "http://127.0.0.1:3233"

// props is the file that wsk reads: the only place where the key is in clear.
type props struct {
	path    string
	apihost string
	auth    string // "uuid:key"
}

// loadKey returns the key of the file wskprops. Without the file, or with a store that knows nobody, it makes a new
// one, and an old one of the same user for the same namespace is worth nothing any more. A key of which the store knows
// nothing any more was replaced or removed by somebody, and stays so.
func loadKey(ctx context.Context, cfg Config, st store.Store) (props, error) {
	p, err := readProps(filepath.Join(cfg.Dir, propsFile))
	if err != nil {
		return p, err
	}
	good, err := isKey(ctx, st, p.auth)
	if err != nil || good {
		return p, err
	}
	known, err := st.Subjects(ctx, "", "")
	if err != nil {
		return p, err
	}
	if p.auth != "" && len(known) > 0 {
		cfg.Log.Warn("the key in wskprops is good no more; remove the file to have a new one made, or use `whiskaway user`", "file", p.path)
		return p, nil
	}
	made := "a new API key was made"
	if len(known) > 0 {
		made += "; it replaces any older one"
	}
	cfg.Log.Info(made, "file", p.path)
	uuid, key := controller.NewKey()
	p.auth = uuid + ":" + key
	if err := p.write(); err != nil {
		return p, err
	}
	err = st.SetSubject(ctx, store.Subject{
		UUID: uuid, Name: cfg.Namespace, Namespace: cfg.Namespace, KeyHash: controller.HashKey(key),
	})
	if err != nil {
		return p, fmt.Errorf("keeping the new API key: %w", err)
	}
	return p, nil
}

func isKey(ctx context.Context, st store.Store, auth string) (bool, error) {
	uuid, key, ok := strings.Cut(auth, ":")
	if !ok {
		return false, nil
	}
	sub, err := st.Subject(ctx, uuid)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	return subtle.ConstantTimeCompare(controller.HashKey(key), sub.KeyHash) == 1, nil
}

// readProps reads the file; without one, auth is empty.
func readProps(path string) (props, error) {
	p := props{path: path, apihost: defaultAPIHost}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("reading the API key: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "APIHOST":
			p.apihost = value
		case "AUTH":
			p.auth = value
		}
	}
	return p, nil
}

// write replaces the file at once, so that nobody reads half of it.
func (p props) write() error {
	f, err := os.CreateTemp(filepath.Dir(p.path), ".wskprops-") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the API key: %w", err)
	}
	_, err = fmt.Fprintf(f, "APIHOST=%s\nAUTH=%s\n", p.apihost, p.auth)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), p.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing the API key: %w", err)
	}
	return nil
}
