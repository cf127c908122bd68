package platform

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/whiskaway/whiskaway/platform/bus"
)

// secretFile holds the secret that seals API keys in the journal: whoever has only the database,
// or a copy of it, cannot read them.
const secretFile = "journal.key"

// loadSecret returns the secret in dir, and makes one when there is none.
func loadSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, secretFile)
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) == bus.SecretSize {
		return secret, nil
	}
	if err == nil {
		return nil, fmt.Errorf("the file %s has %d bytes, not %d: put a copy back, or remove it; accepted activations that get an API key cannot be read then", path, len(secret), bus.SecretSize)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the secret for API keys: %w", err)
	}
	secret = make([]byte, bus.SecretSize)
	rand.Read(secret) // never fails
	return secret, writeSecret(path, secret)
}

// writeSecret makes the file at once, so that nobody finds half of it.
func writeSecret(path string, secret []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".journal-") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the secret for API keys: %w", err)
	}
	_, err = f.Write(secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing the secret for API keys: %w", err)
	}
	return nil
}
